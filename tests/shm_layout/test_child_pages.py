"""Address spaces that have the last virtual pages alone: their ptes and locks lie without gaps."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shm_layout.layout import Layout
from shm_layout.machine import Machine
from shm_layout.structs import CHILD_PTES, CHILD_TABLES, NR_ALL_PTES, NR_PTES
from stress.kernel.memory import written_at
from stress.kernel.pgtable import first_page, pte_at
from stress.kernel.rss.ptlock_split import pte_lockptr


@st.composite
def machines(draw):
    pages, file = draw(st.integers(1, 40)), draw(st.integers(0, 6))
    return Machine(
        cpus=1,
        mms=draw(st.integers(1, 5)),
        anon=pages,
        shared_file=file,
        frames=4,
        ghost=draw(st.booleans()),
        ptrs_per_pte=draw(st.integers(1, 9)),
        child_pages=draw(st.none() | st.integers(1, pages + file)),
    )


@settings(max_examples=80)
@given(machines())
def test_every_pte_and_every_lock_has_a_word_of_its_own(machine):
    layout = Layout(machine)
    m = {}
    layout.write_constants(m)
    children = machine.ptes if machine.child_pages is None else machine.child_pages
    assert m[NR_ALL_PTES] == machine.ptes + (machine.mms - 1) * children
    pages = [(mm, page) for mm in range(machine.mms) for page in range(first_page(m, mm), m[NR_PTES])]
    assert [page for mm, page in pages if mm == 0] == list(range(machine.ptes))
    assert all(page >= machine.ptes - children for mm, page in pages if mm)
    region = layout.regions["pte"]
    assert [pte_at(m, mm, page) for mm, page in pages] == list(range(region.start, region.end))
    assert [layout.mm_and_page(i) for i in range(len(pages))] == pages
    locks = {}
    for mm, page in pages:
        assert layout.describe(pte_at(m, mm, page)) == f"pte {mm}:{page}"
        if machine.ghost:
            assert layout.describe(written_at(m, mm, page)) == f"written {mm}:{page}"
        table = page // machine.ptrs_per_pte
        locks.setdefault((mm, table), pte_lockptr(m, mm, page))
        assert layout.describe(pte_lockptr(m, mm, page)) == f"ptl {mm}:{table * machine.ptrs_per_pte}"
    tables = layout.regions["page_table"]
    assert sorted(locks.values()) == list(range(tables.start, tables.end, tables.stride))


def test_all_pages_unless_told_otherwise():
    machine = Machine(cpus=1, mms=3, anon=10, frames=4, ptrs_per_pte=4)
    m = {}
    Layout(machine).write_constants(m)
    assert (m[CHILD_PTES], m[CHILD_TABLES]) == (10, 3)
    assert machine.child_tables == machine.page_tables == 3


@pytest.mark.parametrize("pages", [0, 11, -1])
def test_no_other_number_of_pages(pages):
    with pytest.raises(ValueError, match="child_pages: 1 to 10"):
        Machine(cpus=1, mms=2, anon=10, frames=4, child_pages=pages)
