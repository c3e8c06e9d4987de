"""What is counted outside of the mm is not lost: each design holds what it brings along, and mutants of it do not."""

import pytest

from shm_layout.machine import Machine
from stress import designs
from stress.checks import HOLDS
from stress.explore import explore
from stress.kernel.rss import cached, deferred, mm, task
from stress.kernel.rss.atomic import atomic_add
from stress.labels import COUNTED, IN_BATCH, NOT_OWNER
from stress.plain import PlainMachine
from stress.program import At, Goto
from stress.step import step
from stress.workload import Workload

FAULTS = ("fault", "access_process_vm", "use_mm")
BUSY = "1: fork || fault 0 w; fault 1 w; exec; fault 0 w | access_process_vm 0 w mm=0; use_mm 0 w mm=0; exit"


@step
def never_synced(m, r):
    """The counts stay on current, however many faults there were."""
    return IN_BATCH


@step
def never_folded(m, r):
    """The same of deferred_16: what it counts on current is never too much."""
    deferred.count_rss(m, r)
    return IN_BATCH


def on_faults(edit):
    return dict.fromkeys(FAULTS, edit)


def others_count_per_cpu(p):
    return p.splice((At(NOT_OWNER), atomic_add, Goto(COUNTED)), At(NOT_OWNER))


MUTANTS = {
    "the tick throws counts away": (
        designs.get("deferred").edit(name="m", tick=lambda p: p.drop(task.fold_rss)),
        "fault 0 w; tick | statm mm=0",
        {"user"},
    ),
    "anonymous faults are not counted": (
        designs.get("deferred").edit(name="m", fault=lambda p: p.drop(deferred.count_rss)),
        "fault 0 w; tick",
        {"user"},
    ),
    "a zap is not counted": (
        designs.get("deferred_16").edit(name="m", zap=lambda p: p.drop(mm.sub_mm_rss)),
        "fault 0 w; zap 0",
        {"user"},
    ),
    "another mm's page is counted on current": (
        designs.get("cached").edit(name="m", **on_faults(lambda p: p.drop(task.if_own_mm))),
        "1: fork || fault 0 w; exit | access_process_vm 0 w mm=0; exit",
        {"user", "owner"},
    ),
    "others count on their CPU while the mm is single": (
        designs.get("lazy").edit(name="m", **on_faults(others_count_per_cpu)),
        "fork || fault 0 w; statm | access_process_vm 1 w mm=1",
        {"user"},
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_caught(mutant):
    design, workload, broken = MUTANTS[mutant]
    assert {v.check for v in explore(design, Workload.parse(workload)).violations} == broken
    base = explore(designs.get(design.base), Workload.parse(workload))
    assert (base.violations, base.complete) == ((), True)


@pytest.mark.parametrize("name", ["cached", "deferred", "deferred_16", "lazy"])
def test_nothing_is_lost_on_the_way(name):
    result = explore(designs.get(name), Workload.parse(BUSY))
    assert (result.violations, result.complete) == ((), True)


THRESHOLDS = {
    "cached": (cached.check_sync_rss_stat, never_synced, cached.TASK_RSS_EVENTS_THRESH),
    "deferred_16": (deferred.count_rss_or_fold, never_folded, deferred.MOST),
}


@pytest.mark.parametrize("name", THRESHOLDS)
def test_a_task_that_holds_too_much_is_caught(name):
    folding, never, most = THRESHOLDS[name]
    base = designs.get(name)
    with_it = [operation for operation in FAULTS if folding in base.programs[operation]]
    mutant = base.edit(name="m", **dict.fromkeys(with_it, lambda p: p.replace(folding, never)))
    for design, expected in ((base, None), (mutant, most)):
        plain = PlainMachine(design, Machine(cpus=1, mms=1, anon=100, frames=110))
        broken_at = None
        for address in range(100):
            plain.perform("fault", address=address, write=True)
            lost, too_much = (check(plain.m) for check in design.checks)
            assert lost == HOLDS
            if too_much != HOLDS and broken_at is None:
                broken_at = address
        assert broken_at == expected
