"""What is counted: add_mm_counter(mm, member, value) of later kernels, its arguments in registers.

These steps are private: they only say which counter of which mm changes by how much. A way of counting follows
them that does it.
"""

from __future__ import annotations

from shm_layout.registers import (
    R_AMOUNT,
    R_ANON_RSS,
    R_CHILD,
    R_COUNTED_MM,
    R_FREED,
    R_MEMBER,
    R_MM,
    R_OLD_PAGE,
    R_PAGE,
    R_RSS,
    R_SCRATCH,
)
from shm_layout.structs import MM_ANON_RSS, MM_FILE_RSS, MM_RSS, MM_SHMEM_RSS, PAGE_FLAGS, at
from shm_layout.words import Words
from stress.kernel.pgtable import PG_FILE
from stress.labels import FILE_COUNTED
from stress.step import NEXT, helper, step

RSS = 0
ANON_RSS = 1
FILE_RSS = 2
SHMEM_RSS = 3


@helper
def of_member(r: Words, rss: int, anon_rss: int, file_rss: int, shmem_rss: int) -> int:
    """Return which of four fields, one for each counter, is that of the counter that R_MEMBER names."""
    if r[R_MEMBER] == RSS:
        return rss
    if r[R_MEMBER] == ANON_RSS:
        return anon_rss
    return file_rss if r[R_MEMBER] == FILE_RSS else shmem_rss


@helper
def counted(m: Words, r: Words) -> int:
    """Return the index of the mm's own word of the counter."""
    return at(m, of_member(r, MM_RSS, MM_ANON_RSS, MM_FILE_RSS, MM_SHMEM_RSS), r[R_COUNTED_MM])


@helper
def set_amount(r: Words, mm: int, member: int, amount: int) -> None:
    """Say what the steps that follow count."""
    r[R_COUNTED_MM] = mm
    r[R_MEMBER] = member
    r[R_AMOUNT] = amount


@step(private=True)
def rss_up(m: Words, r: Words) -> int:
    """One page more in rss."""
    set_amount(r, r[R_MM], RSS, 1)
    return NEXT


@step(private=True)
def rss_down(m: Words, r: Words) -> int:
    """One page less in rss."""
    set_amount(r, r[R_MM], RSS, -1)
    return NEXT


@step(private=True)
def rss_freed(m: Words, r: Words) -> int:
    """What a zap freed, less in rss."""
    set_amount(r, r[R_MM], RSS, -r[R_FREED])
    return NEXT


@step(private=True)
def anon_rss_up(m: Words, r: Words) -> int:
    """One anonymous page more."""
    set_amount(r, r[R_MM], ANON_RSS, 1)
    return NEXT


@step(private=True)
def anon_rss_down(m: Words, r: Words) -> int:
    """One anonymous page less."""
    set_amount(r, r[R_MM], ANON_RSS, -1)
    return NEXT


@step(private=True)
def child_rss_up(m: Words, r: Words) -> int:
    """One page more in the child's rss."""
    set_amount(r, r[R_CHILD], RSS, 1)
    return NEXT


@step(private=True)
def child_anon_rss_up(m: Words, r: Words) -> int:
    """One anonymous page more in the child."""
    set_amount(r, r[R_CHILD], ANON_RSS, 1)
    return NEXT


# Where file pages are counted apart, and rss is the sum: Linux 2.6.15. Whether a page belongs to the file does
# not change while the operation holds it, so looking at it is no access that could meet another CPU's.


@helper
def page_file(m: Words, frame: int) -> bool:
    """Return whether the page belongs to the file."""
    return (m[at(m, PAGE_FLAGS, frame)] & PG_FILE) != 0


@step(private=True)
def file_rss_up(m: Words, r: Words) -> int:
    """One file page more; to `file_counted` for any other page, which is counted where it is found anonymous."""
    set_amount(r, r[R_MM], FILE_RSS, 1)
    return NEXT if page_file(m, r[R_PAGE]) else FILE_COUNTED


@step(private=True)
def file_rss_down(m: Words, r: Words) -> int:
    """One file page less; to `file_counted` for any other page."""
    set_amount(r, r[R_MM], FILE_RSS, -1)
    return NEXT if page_file(m, r[R_PAGE]) else FILE_COUNTED


@step(private=True)
def old_file_rss_down(m: Words, r: Words) -> int:
    """do_wp_page lets go of a page of the file; to `file_counted` for any other page."""
    set_amount(r, r[R_MM], FILE_RSS, -1)
    return NEXT if page_file(m, r[R_OLD_PAGE]) else FILE_COUNTED


@step(private=True)
def child_file_rss_up(m: Words, r: Words) -> int:
    """Fork copies the pte of a page of the file; to `file_counted` for any other page."""
    set_amount(r, r[R_CHILD], FILE_RSS, 1)
    return NEXT if page_file(m, r[R_PAGE]) else FILE_COUNTED


@step(private=True)
def count_anon_freed(m: Words, r: Words) -> int:
    """A zap's anon_rss--, on its own stack until the zap ends."""
    r[R_SCRATCH] = r[R_SCRATCH] + 1
    return NEXT


@step(private=True)
def count_anon_freed_all(m: Words, r: Words) -> int:
    """A zap that met anonymous pages alone: all that it freed."""
    r[R_SCRATCH] = r[R_FREED]
    return NEXT


@step(private=True)
def anon_rss_freed(m: Words, r: Words) -> int:
    """What a zap freed of anonymous pages."""
    set_amount(r, r[R_MM], ANON_RSS, -r[R_SCRATCH])
    return NEXT


@step(private=True)
def file_rss_freed(m: Words, r: Words) -> int:
    """What a zap freed of other pages."""
    set_amount(r, r[R_MM], FILE_RSS, r[R_SCRATCH] - r[R_FREED])
    r[R_SCRATCH] = 0
    return NEXT


# reads


@step(private=True)
def read_rss(m: Words, r: Words) -> int:
    """What follows reads rss, of mm R_MM."""
    set_amount(r, r[R_MM], RSS, 0)
    return NEXT


@step(private=True)
def read_anon_rss(m: Words, r: Words) -> int:
    """What follows reads anon_rss: the sum so far is rss."""
    r[R_RSS] = r[R_AMOUNT]
    set_amount(r, r[R_MM], ANON_RSS, 0)
    return NEXT


@step(private=True)
def both_read(m: Words, r: Words) -> int:
    """The sum so far is anon_rss."""
    r[R_ANON_RSS] = r[R_AMOUNT]
    return NEXT
