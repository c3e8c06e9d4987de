"""Labels, the outcomes of steps that jump: how they are declared, and those of this package.

The latter are named after the kernel's functions and goto labels. They get the lowest numbers, whatever a user's file
declares, since they are declared as soon as this module is imported: machine code on disk knows their numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

_FIRST_LABEL = 3
MOST_OUTCOMES = 256
"""Of all steps together: NEXT, DONE, WAIT and the labels."""


@dataclass(frozen=True)
class LabelInfo:
    """A label: its name, whether a jump to it goes back (a loop) or forward, and whether a section begins."""

    name: str
    back: bool
    section: bool


_labels: list[LabelInfo] = []


def label(name: str, *, back: bool = False, section: bool = False) -> int:
    """Declare a label and return the outcome that jumps to it.

    A jump goes to the nearest place with that label after the step (``back``: before it), so a fragment
    of a program can use a label of its own wherever it is put. A ``section`` is a part of a program that
    an edit can be confined to. Raises `ValueError` for more than there may be (`MOST_OUTCOMES`).
    """
    for i, known in enumerate(_labels):
        if known == LabelInfo(name, back, section):
            return _FIRST_LABEL + i
    if outcomes() == MOST_OUTCOMES:
        raise ValueError(f"label {name!r} is one too many: {MOST_OUTCOMES - _FIRST_LABEL} labels at most")
    _labels.append(LabelInfo(name, back, section))
    return _FIRST_LABEL + len(_labels) - 1


def labels() -> tuple[LabelInfo, ...]:
    """Return all labels, in the order of their declaration, which is that of their outcomes."""
    return tuple(_labels)


def label_info(outcome: int) -> LabelInfo:
    """Return the label that an outcome jumps to. Raises `ValueError` for what is no label."""
    if type(outcome) is not int or not _FIRST_LABEL <= outcome < outcomes():
        raise ValueError(f"{outcome!r} is no label: declare one with label(name) from stress.step")
    return _labels[outcome - _FIRST_LABEL]


def outcomes() -> int:
    """Return the number of outcomes declared so far: they are 0 to this number - 1."""
    return _FIRST_LABEL + len(_labels)


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
WP_PAGE_SHARED = label("wp_page_shared")
ENTRY_SET = label("entry_set")
PMD_PRESENT = label("pmd_present")
HUGE_PMD = label("huge_pmd")
SMALL_PAGE = label("small_page")
SPLIT = label("split")
SKIP_TABLE = label("skip_table")
NOT_CACHED = label("not_cached")
NOT_PRESENT = label("not_present")
SKIP = label("skip")
SWAP_ENTRY = label("swap_entry")
MIGRATION_ENTRY = label("migration_entry")
NOT_MAPPED = label("not_mapped")
OTHER_MM = label("other_mm")
SWAP_CACHED = label("swap_cached")
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
LAST_VMA = label("last_vma")
MMAP_LOCK = label("mmap_lock")
LOCKED = label("locked")
UNLOCKED = label("unlocked")

# loops
NEXT_PTE = label("next_pte", back=True)
NEXT_PMD = label("next_pmd", back=True)
NEXT_MM = label("next_mm", back=True)
NEXT_VMA = label("next_vma", back=True)
NEXT_TASK = label("next_task", back=True)
NEXT_CPU = label("next_cpu", back=True)
NEXT_LEVEL = label("next_level", back=True)
NEXT_PAGE = label("next_page", back=True)
RETRY = label("retry", back=True)
AGAIN = label("again", back=True)
