"""Faults under the lock of a VMA: sound beside fork, munmap and reclaim; each part of the lock is needed."""

import pytest

from shm_layout.atomic import read_once
from shm_layout.registers import R_SCRATCH
from shm_layout.structs import AREA_START, PRIVATE_END, at
from stress import designs
from stress.designs.vma_lock import COVERS_ADDRESS, IS_ATTACHED, VMA_START_WRITE
from stress.explore import explore
from stress.kernel import vma, vma_lock
from stress.kernel.rss.task import rcu_read_lock, rcu_read_unlock
from stress.labels import LAST_VMA, LOCKED, NEXT_VMA, SKIP
from stress.program import At, Goto, Program
from stress.step import NEXT, step
from stress.workload import Workload

VMA_LOCK = designs.get("vma_lock")
LOST = "1: fault 0 w; 1: user_write 0 || fork | user_write 0 | fault 0 w"
LATE = "fault 0 w | zap 0"
REUSED = "fault 0 w | zap 0 | exec"
START_WRITE, ATTACHED, COVERS = (tuple(Program(*part)) for part in (VMA_START_WRITE, IS_ATTACHED, COVERS_ADDRESS))
EXIT_VMAS = (At(NEXT_VMA), vma.mas_find, vma.remove_vma, Goto(NEXT_VMA), At(LAST_VMA))


@step
def if_copied(m, r):
    """Is VMA R_SCRATCH anonymous, or copied on write? Else to `skip`: fork leaves it unlocked."""
    return NEXT if read_once(m, at(m, AREA_START, r[R_SCRATCH] - 1)) < m[PRIVATE_END] else SKIP


def edited(design=VMA_LOCK, **edits):
    return design.edit("a", "b", **edits)


FILES = edited(fault=lambda p: p.drop(vma_lock.if_vma_anon))
NONE_LOCKED = edited(FILES, fork=lambda p: p.splice(START_WRITE))
UNLOCKED = edited(FILES, fork=lambda p: p.splice(START_WRITE, if_copied, *START_WRITE, At(SKIP)))
NO_GRACE_PERIOD = edited(zap=lambda p: p.drop(vma_lock.call_rcu))
SHARED_FILE = {"anon": 0, "private_file": 0, "shared_file": 1, "mmu": True}
PRIVATE_FILE = {"anon": 0, "private_file": 1, "shared_file": 0, "mmu": True}
BOTH = {"anon": 1, "private_file": 0, "shared_file": 1, "mmu": True}


def broken(design, text, **machine):
    result = explore(design, Workload.parse(text, **machine))
    assert result.complete
    return {violation.check for violation in result.violations}


@pytest.mark.parametrize(
    "text",
    [
        LOST,
        LATE,
        REUSED,
        "fault 0 w | zap 0 | fork",
        "fault 1 w | zap 0; zap 1",
        "fault 1 w | zap 0 | fork | zap 1",
        "fork; zap 1; fault 0 w; exit | fault 1 w; zap 0-1",
        "fault 0 w; swap_out frame=1 || fork | fault 0 w",
        "fault 0 w || fork 0-0; fault 0 w | madvise_dontneed 0; fault 0",
        "access_process_vm 0 w mm=0 | zap 0; fault 0",
    ],
)
def test_faults_under_the_lock_of_the_vma_are_sound(text):
    assert broken(VMA_LOCK, text, mmu=True) == set()


@pytest.mark.parametrize(
    ("text", "check", "edits"),
    [
        (LOST, "data_kept", {"fork": lambda p: p.splice(START_WRITE)}),
        (
            LOST,
            "data_kept",
            {"fault": lambda p: p.splice((vma_lock.if_write_locked, vma_lock.vma_end_read), Goto(LOCKED))},
        ),
        (LOST, "data_kept", {"fork": lambda p: p.drop(vma_lock.down_write_vma)}),
        (LOST, "progress", {"fork": lambda p: p.drop(vma_lock.up_write_vma)}),
        (LATE, "dropped", {"zap": lambda p: p.splice(START_WRITE)}),
        (LATE, "dropped", {"zap": lambda p: p.drop(vma_lock.down_write_vma)}),
        (LATE, "dropped", {"fault": lambda p: p.splice(ATTACHED)}),
        (LATE, "progress", {"zap": lambda p: p.drop(vma.vma_iter_clear)}),
        (LATE, "user", {"zap": lambda p: p.drop(vma.remove_mt)}),
        (REUSED, "owner", {"zap": lambda p: p.drop(vma_lock.call_rcu)}),
        (REUSED, "owner", {"fault": lambda p: p.drop(rcu_read_lock).drop(rcu_read_unlock)}),
        ("fault 1 w | zap 0", "user", {"zap": lambda p: p.drop(vma.split_vma_new_unlocked)}),
        ("fault 0 w || fork; fault 0 w", "user", {"fork": lambda p: p.drop(vma.dup_mmap)}),
        ("fork; exit", "user", {"exit": lambda p: p.splice(EXIT_VMAS)}),
    ],
    ids=[
        "fork does not lock",
        "no second look",
        "fork does not wait for faults",
        "the lock is kept",
        "munmap does not lock",
        "munmap does not wait for faults",
        "no look whether it is attached",
        "the range stays in the tree",
        "VMAs are not given back",
        "no grace period",
        "no rcu_read_lock",
        "no split",
        "the child has no VMAs",
        "exit leaves VMAs",
    ],
)
def test_each_part_is_needed(text, check, edits):
    assert check in broken(edited(**edits), text, mmu=True)


def test_the_range_is_compared():
    """Where munmap splits a VMA, the one that was found is what it takes out: it is detached, or gone behind RCU.

    So the comparison is needed where VMAs are used again at once.
    """
    text = "fault 1 w | zap 0; zap 1"
    assert broken(NO_GRACE_PERIOD, text, mmu=True) == set()
    assert broken(edited(NO_GRACE_PERIOD, fault=lambda p: p.splice(COVERS)), text, mmu=True) == {"dropped"}


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


@pytest.mark.parametrize(
    "text",
    [
        "1: fault 0 w; 1: user_write 0 || fork | user_write 0; fault 1 w | fault 0 w",
        "fault 1 w || fork | fault 1 w; zap 0-1 | truncate 1",
        "fault 0 w; fault 1 w || fork; zap 1 | fault 1 w | fault 0 w",
    ],
)
def test_nor_need_it_lock_one_beside_anonymous_memory(text):
    assert broken(UNLOCKED, text, **BOTH) == set()


def test_fork_must_lock_what_is_copied_on_write():
    assert broken(FILES, LOST, **PRIVATE_FILE) == set()
    assert broken(UNLOCKED, LOST, **PRIVATE_FILE) == set()
    assert broken(NONE_LOCKED, LOST, **PRIVATE_FILE) == {"data_kept"}
    assert broken(NONE_LOCKED, LOST, **BOTH) == {"data_kept"}
