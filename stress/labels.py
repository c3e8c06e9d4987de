"""The labels that programs of this package jump to, named after the kernel's functions and goto labels."""

from __future__ import annotations

from stress.step import label

# branches of handle_pte_fault
DO_ANONYMOUS_PAGE = label("do_anonymous_page", section=True)
DO_ZERO_PAGE = label("do_zero_page", section=True)
DO_NO_PAGE = label("do_no_page", section=True)
DO_SWAP_PAGE = label("do_swap_page", section=True)
DO_WP_PAGE = label("do_wp_page", section=True)
PTE_PRESENT = label("pte_present", section=True)

# ways on within them
COPY = label("copy", section=True)
NOT_ANON = label("not_anon")
RESERVED = label("reserved")
STALE = label("stale")
MAPPED = label("mapped")
MAPPED_COPY = label("mapped_copy")
RACED = label("raced")
SKIP = label("skip")
SWAP_ENTRY = label("swap_entry")
NOT_MAPPED = label("not_mapped")
OTHER_MM = label("other_mm")
COUNTED = label("counted")
COUNTED_LATE = label("counted_late")
NOT_ALONE = label("not_alone")
STALE_ALREADY = label("stale_already")
UPTODATE = label("uptodate")
FILE_COUNTED = label("file_counted")
IN_BATCH = label("in_batch")
PERCPU = label("percpu")
NOT_OWNER = label("not_owner")
OUT_UNLOCK = label("out_unlock", section=True)
OUT = label("out")
LAST = label("last")

# loops
NEXT_PTE = label("next_pte", back=True)
NEXT_MM = label("next_mm", back=True)
NEXT_TASK = label("next_task", back=True)
NEXT_CPU = label("next_cpu", back=True)
NEXT_LEVEL = label("next_level", back=True)
NEXT_PAGE = label("next_page", back=True)
AGAIN = label("again", back=True)
