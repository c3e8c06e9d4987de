"""Faults that count themselves in their VMA, and VMAs that are used again: each part of it is needed."""

import pytest

from stress import designs
from stress.designs.vma_refcnt import COVERS_ADDRESS, SAME_MM, SECOND_LOOK, VMA_START_WRITE
from stress.explore import explore
from stress.kernel import spinlock, vma, vma_refcnt
from stress.program import Program
from stress.workload import Workload

REFCNT = designs.get("vma_refcnt")
LOST = "1: fault 0 w; 1: user_write 0 || fork | user_write 0 | fault 0 w"
REUSED = "fault 0 w | zap 0 | exec"
OTHER_RANGE = "fault 1 w | zap 0; zap 1"


def found(design, text, **machine):
    result = explore(design, Workload.parse(text, mmu=True, **machine))
    assert result.complete
    return {violation.check for violation in result.violations}


def without(part):
    return lambda p: p.splice(tuple(Program(*part)))


@pytest.mark.parametrize(
    "text",
    [
        LOST,
        REUSED,
        OTHER_RANGE,
        "fault 0 w; zap 0 | fault 0 w; zap 0",
        "fault 1 w | zap 0 | fork | zap 1",
        "fork; zap 1; fault 0 w; exit | fault 1 w; zap 0-1",
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
        (LOST, "data_kept", {"fork": without(VMA_START_WRITE)}),
        (LOST, "data_kept", {"fork": lambda p: p.drop(vma_refcnt.wait_for_readers)}),
        ("fork | zap 0", "progress", {"fork": lambda p: p.drop(vma_refcnt.refcount_sub_offset)}),
        (LOST, "data_kept", {"fault": without(SECOND_LOOK)}),
        (REUSED, "owner", {"fault": without(SAME_MM)}),
        (OTHER_RANGE, "dropped", {"fault": without(COVERS_ADDRESS)}),
        (REUSED, "dropped", {"zap": lambda p: p.drop(vma_refcnt.vma_mark_detached)}),
        (REUSED, "progress", {"zap": lambda p: p.drop(vma.vma_iter_clear)}),
    ],
    ids=[
        "fork does not lock",
        "fork does not wait",
        "the writer stays",
        "no second look",
        "vm_mm is not compared",
        "the range is not compared",
        "munmap does not detach",
        "the range stays in the tree",
    ],
)
def test_each_part_is_needed(text, check, edits):
    assert check in found(REFCNT.edit("a", "b", **edits), text)


def test_the_way_by_mmap_lock_is_taken_too():
    assert spinlock.down_read in REFCNT.programs["fault"]
    assert vma.mas_walk not in REFCNT.programs["access_process_vm"]
