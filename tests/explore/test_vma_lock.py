"""Faults under the lock of a VMA: sound beside fork, munmap and reclaim; each part of the lock is needed."""

import pytest

from stress import designs
from stress.designs.vma_lock import VMA_START_WRITE
from stress.explore import explore
from stress.kernel import vma_lock
from stress.labels import LOCKED
from stress.program import Goto, Program
from stress.workload import Workload

VMA_LOCK = designs.get("vma_lock")
LOST = "1: fault 0 w; 1: user_write 0 || fork | user_write 0 | fault 0 w"
NO_LOCK = VMA_LOCK.edit("a", "b", fork=lambda p: p.splice(tuple(Program(*VMA_START_WRITE))))
NO_SECOND_LOOK = VMA_LOCK.edit(
    "a", "b", fault=lambda p: p.splice((vma_lock.if_write_locked, vma_lock.vma_end_read), Goto(LOCKED))
)
NO_WAIT = VMA_LOCK.edit("a", "b", fork=lambda p: p.drop(vma_lock.down_write_vma))
KEPT = VMA_LOCK.edit("a", "b", fork=lambda p: p.drop(vma_lock.up_write_vma))
FILES = VMA_LOCK.edit("a", "b", fault=lambda p: p.drop(vma_lock.if_vma_anon))
UNLOCKED = FILES.edit("c", "d", fork=lambda p: p.splice(tuple(Program(*VMA_START_WRITE))))
SHARED_FILE = {"anon": 0, "private_file": 0, "shared_file": 1, "mmu": True}
PRIVATE_FILE = {"anon": 0, "private_file": 1, "shared_file": 0, "mmu": True}


def broken(design, text, **machine):
    result = explore(design, Workload.parse(text, **machine))
    assert result.complete
    return {violation.check for violation in result.violations}


@pytest.mark.parametrize(
    "text",
    [
        LOST,
        "fault 0 w | zap 0 | fork",
        "fault 0 w; swap_out frame=1 || fork | fault 0 w",
        "fault 0 w || fork 0-0; fault 0 w | madvise_dontneed 0; fault 0",
    ],
)
def test_faults_under_the_lock_of_the_vma_are_sound(text):
    assert broken(VMA_LOCK, text, mmu=True) == set()


@pytest.mark.parametrize(
    ("design", "check"),
    [(NO_LOCK, "data_kept"), (NO_SECOND_LOOK, "data_kept"), (NO_WAIT, "data_kept"), (KEPT, "progress")],
    ids=["fork does not lock", "no second look", "fork does not wait for faults", "the lock is kept"],
)
def test_each_part_of_the_lock_is_needed(design, check):
    assert check in broken(design, LOST, mmu=True)


@pytest.mark.parametrize(
    "text",
    [
        LOST,
        "fork | fault 0 w | fault 0",
        "fault 0 w || fork | fault 0 w | truncate 0",
        "fault 0 w || fork | zap 0; fault 0 w | swap_out frame=1",
        "fault 0 || fork | fault 0 w | madvise_dontneed 0; fault 0 w",
        "fault 0 w || fork; exit | fault 0 w | swap_out frame=1",
        "fork; fault 0 w | fault 0 w; zap 0",
        "fork; fault 0 w || fork | fault 0 w | truncate 0; fault 0",
    ],
)
def test_fork_may_leave_a_shared_file_mapping_unlocked(text):
    assert broken(UNLOCKED, text, **SHARED_FILE) == set()


def test_fork_must_lock_what_is_copied_on_write():
    assert broken(FILES, LOST, **PRIVATE_FILE) == set()
    assert broken(UNLOCKED, LOST, **PRIVATE_FILE) == {"data_kept"}
