"""The model of `explore_spin.py`: two entries and a count, faulted and zapped without a lock, as steps of its own."""

from __future__ import annotations

from shm_layout.atomic import cmpxchg, read_once, write_once
from shm_layout.registers import R_ADDRESS, R_ENTRY, R_PAGE, R_VALUE
from shm_layout.structs import zone_struct
from shm_layout.words import Words
from stress.design import Design
from stress.labels import label
from stress.program import At, Program
from stress.step import NEXT, step

OTHERWISE = label("otherwise")
ENTRY0 = zone_struct.word("entry0", "fault, zap", "the entry of page 0; that of page 1 follows")
ENTRY1 = zone_struct.word("entry1", "fault, zap", "the entry of page 1")
COUNT = zone_struct.word("count", "fault, zap", "entries that are set, counted without a lock")
NEXT_PAGE = zone_struct.word("next_page", "fault", "page that is handed out next")


@step
def read_entry(m: Words, r: Words) -> int:
    """e = pte[v]."""
    r[R_ENTRY] = read_once(m, m[ENTRY0] + r[R_ADDRESS])
    return NEXT


@step(private=True)
def if_none(m: Words, r: Words) -> int:
    """A fault goes on when there is none."""
    return NEXT if r[R_ENTRY] == 0 else OTHERWISE


@step(private=True)
def if_set(m: Words, r: Words) -> int:
    """A zap goes on when there is one."""
    return NEXT if r[R_ENTRY] != 0 else OTHERWISE


@step(whole="the allocator's lock: Spin's model takes a page in one atomic step")
def alloc(m: Words, r: Words) -> int:
    """pg = np + 1; np = (np + 1) % 4."""
    page = read_once(m, m[NEXT_PAGE])
    r[R_PAGE] = page + 1
    write_once(m, m[NEXT_PAGE], (page + 1) % 4)
    return NEXT


@step
def exchange(m: Words, r: Words) -> int:
    """pte[v] == e -> pte[v] = pg."""
    word = m[ENTRY0] + r[R_ADDRESS]
    return NEXT if cmpxchg(m, word, r[R_ENTRY], r[R_PAGE]) == r[R_ENTRY] else OTHERWISE


@step
def read_count(m: Words, r: Words) -> int:
    """e = rss."""
    r[R_VALUE] = read_once(m, m[COUNT])
    return NEXT


@step
def count_up(m: Words, r: Words) -> int:
    """rss = e + 1."""
    write_once(m, m[COUNT], r[R_VALUE] + 1)
    return NEXT


@step
def count_down(m: Words, r: Words) -> int:
    """rss = e - 1."""
    write_once(m, m[COUNT], r[R_VALUE] - 1)
    return NEXT


DESIGN = Design(
    name="explore_toy",
    year=2004,
    source="benchmarks/explore_spin.pml",
    summary="two entries and a count, faulted and zapped without a lock",
    programs={
        "fault": Program(read_entry, if_none, alloc, exchange, read_count, count_up, At(OTHERWISE)),
        "zap": Program(read_entry, if_set, exchange, read_count, count_down, At(OTHERWISE)),
    },
)
