"""Faults that count themselves in their VMA, and VMAs that are used again: each part of it is needed."""

import pytest

from stress import designs
from stress.designs.vma_refcnt import LOCK_VMA_UNDER_RCU, VMA_START_WRITE
from stress.explore import explore
from stress.kernel import spinlock, vma_refcnt
from stress.labels import LOCKED
from stress.program import At, Goto, Program
from stress.workload import Workload

REFCNT = designs.get("vma_refcnt")
LOST = "1: fault 0 w; 1: user_write 0 || fork | user_write 0 | fault 0 w"
REUSED = "fault 0 w | zap 0 | exec"
NO_MM = tuple(Program(*LOCK_VMA_UNDER_RCU[4:8]))
NO_SECOND_LOOK = (At(LOCKED), vma_refcnt.read_area_lock_seq, vma_refcnt.if_area_unlocked, vma_refcnt.vma_refcount_put)


def found(design, text, **machine):
    result = explore(design, Workload.parse(text, mmu=True, **machine))
    assert result.complete
    return {violation.check for violation in result.violations}


@pytest.mark.parametrize(
    "text",
    [
        LOST,
        REUSED,
        "fault 0 w; zap 0 | fault 0 w; zap 0",
        "fault 0 w; swap_out || fork; fault 0 w; exit | fault 0; zap 0",
        "fault 0 w || fork; exit | zap 0; exec",
        "fault 0 w || fault 0 | madvise_dontneed 0; fault 0 w | zap 0",
        "fork || fault 0 w | exec | access_process_vm 0 w mm=1",
    ],
)
def test_it_holds(text):
    assert found(REFCNT, text) == set()


@pytest.mark.parametrize(
    ("text", "check", "edits"),
    [
        (LOST, "data_kept", {"fork": lambda p: p.splice(tuple(Program(*VMA_START_WRITE)))}),
        (LOST, "data_kept", {"fork": lambda p: p.drop(vma_refcnt.wait_for_readers)}),
        ("fork | zap 0", "progress", {"fork": lambda p: p.drop(vma_refcnt.refcount_sub_offset)}),
        (LOST, "data_kept", {"fault": lambda p: p.splice(NO_SECOND_LOOK, At(LOCKED), Goto(LOCKED))}),
        (REUSED, "owner", {"fault": lambda p: p.splice(NO_MM)}),
    ],
    ids=["fork does not lock", "fork does not wait", "the writer stays", "no second look", "vm_mm is not compared"],
)
def test_each_part_is_needed(text, check, edits):
    assert check in found(REFCNT.edit("a", "b", **edits), text)


def test_the_way_by_mmap_lock_is_taken_too():
    assert spinlock.down_read in REFCNT.programs["fault"]
    assert vma_refcnt.mas_walk not in REFCNT.programs["access_process_vm"]
