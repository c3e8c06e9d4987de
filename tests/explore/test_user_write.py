"""Stores of the user go through the TLB of their CPU: where a flush is missing they land in the wrong page."""

import pytest

from stress import designs, findings
from stress.explore import Bounds, explore
from stress.kernel import tlb
from stress.workload import Workload

TLB_BATCH = designs.get("tlb_batch")
NO_LOOK = {name: lambda p: p.drop(tlb.is_unreachable) for name in ("zap", "madvise_dontneed")}
"""Leaves out what looks at what munmap promises, so that what its absence does to the user's data is seen."""
RECLAIMED = "fault 0 w || swap_out | zap 0; fault 0 w | user_write 0"


def broken(design, workload, **machine):
    result = explore(design, Workload.parse(workload, **machine), bounds=Bounds(states=100_000))
    assert result.complete
    return {violation.check for violation in result.violations}


@pytest.mark.parametrize(
    "workload",
    [
        RECLAIMED,
        "fault 0 w || fork; fault 0 w | user_write 0 | swap_out",
        "fault 0 w || madvise_dontneed 0 | user_write 0 | fault 0 w",
        "fault 0 w; fork; exit || fault 0 w; exec | swap_out | user_write 0",
    ],
)
def test_the_sound_design_holds(workload):
    assert broken(TLB_BATCH, workload) == set()


def test_what_is_stored_after_munmap_is_lost_where_it_does_not_flush():
    shipped = findings.get("R05").posted().edit(**NO_LOOK)
    assert broken(shipped, RECLAIMED) == {"data_kept"}
    assert broken(shipped, RECLAIMED, mmu=False) == set()
    assert broken(TLB_BATCH.edit(**NO_LOOK), RECLAIMED) == set()


def test_a_batch_is_flushed_before_its_pages_are_freed():
    late = TLB_BATCH.edit(swap_out=lambda p: p.swap(tlb.try_to_unmap_flush, p[-1]))
    assert "tlb" in broken(late, "fault 0 w || swap_out | user_write 0")


def test_a_fork_that_does_not_flush_lets_the_parent_store_into_its_child():
    careless = TLB_BATCH.edit(fork=lambda p: p.drop(tlb.flush_tlb_mm))
    assert "data_kept" in broken(careless, "fault 0 w || fork | user_write 0; user_write 0")


def test_a_store_that_the_page_table_does_not_let_through_does_nothing():
    for before in ("", "fault 0 || ", "fault 0 w; swap_out || "):
        result = explore(TLB_BATCH, Workload.parse(f"{before}user_write 0"))
        assert result.complete
        assert result.outcomes == 1


def test_a_workload_has_a_tlb_where_an_operation_needs_it():
    assert Workload.parse("user_write 0").machine.mmu
    assert not Workload.parse("fault 0 w").machine.mmu
    assert not Workload.parse("user_write 0", mmu=False).machine.mmu
