"""What a step can see broken the moment it happens: the kernel's BUG_ONs, as bits of register R_OOPS."""

from __future__ import annotations

from shm_layout.registers import R_OOPS
from shm_layout.words import Words
from stress.step import helper

MAPCOUNT = 1
"""page_remove_rmap: BUG_ON(page_mapcount(page) < 0)."""
PAGE_REFS = 2
"""A page freed while it is mapped or on the LRU, or freed twice."""
PFN_VALID = 4
"""A fault handler acts on an entry whose page frame does not exist."""
OWNER = 8
"""A count lands on a task that does not belong to the mm whose page it is."""
SWAP_REFS = 16
"""A swap slot freed twice, or used while it is free: reported by check `page_refs`."""
USER = 32
"""For a step of the user's own."""

TLB = 64
"""A frame is freed, or given out, or given up by munmap, while some CPU's TLB still maps it."""

PAGE_TABLES = 256
"""A page table that is not there is installed, or one that is not empty is freed."""
DROPPED = 512
"""MADV_DONTNEED returns, and data that it was told to drop is still mapped."""

RSS_STAT = 128
"""check_mm: a counter of an mm that ends is not 0: reported by check `rss_exact`."""


@helper
def oops(r: Words, bit: int) -> None:
    """Note a broken check in the registers; the operation goes on."""
    r[R_OOPS] = r[R_OOPS] | bit
