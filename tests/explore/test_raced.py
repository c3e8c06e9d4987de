"""Counters without a bound: exact as long as no two operations overlap, and what a reader writes makes none worse."""

from dataclasses import replace

import pytest

from stress import designs
from stress.checks import HOLDS
from stress.design import EXACT, NO_BOUND, Bound
from stress.designs.parts import counter_checks
from stress.explore import explore
from stress.explore.counterexample.trace import trace
from stress.explore.model.model import build
from stress.kernel import memory
from stress.kernel.rss import mm as mm_rss
from stress.kernel.rss import sloppy
from stress.testing import close_pools, worker_pool
from stress.workers.records import Call
from stress.workload import Workload

SLOPPY = designs.get("v11_sloppy")
EXACTLY = replace(SLOPPY, name="exactly", bound=EXACT)
READS = ("statm", "status", "stat")


def broken(design, text, **machine):
    result = explore(design, Workload.parse(text, **machine))
    assert result.complete
    for violation in result.violations:
        assert trace(build(design, result.workload), violation).wrong
    return {v.check for v in result.violations}


ALONE = {
    "a zap that counts nothing": (
        SLOPPY.edit(name="m", zap=lambda p: p.drop(memory.count_freed)), "fault 0 w; zap 0", {"rss_exact"}
    ),
    "a fault that counts twice": (
        SLOPPY.edit(name="m", fault=lambda p: p.after(mm_rss.inc_mm_rss, *mm_rss.INC_RSS)), "fault 0 w", {"rss_exact"}
    ),
}


@pytest.mark.parametrize("case", ALONE)
def test_what_nobody_races_is_exact(case):
    mutant, text, checks = ALONE[case]
    assert broken(mutant, text) == checks
    assert broken(SLOPPY, text) == set()


def test_one_after_the_other_on_two_cpus_is_no_race():
    """Only the schedules in which the two operations overlap may lose a change."""
    mutant = ALONE["a zap that counts nothing"][0]
    assert "rss_exact" in broken(mutant, "fault 0 w || zap 0 | fault 1 w")
    found = explore(mutant, Workload.parse("fault 0 w || zap 0 | fault 1 w")).violation("rss_exact")
    assert len(set(found.schedule)) == 1


def test_changes_that_meet_may_be_lost():
    assert broken(SLOPPY, "fault 0 w | fault 1 w") == set()
    assert {"rss_exact", "anon_rss_exact"} <= broken(EXACTLY, "fault 0 w | fault 1 w")


def test_a_bound_that_is_not_for_races_alone_switches_exactness_off():
    """What tasks hold back, such as in `deferred`, is held back without any race."""
    held_back = replace(SLOPPY, bound=Bound("none", NO_BOUND.pages), checks=())
    mutant = held_back.edit(name="m", zap=lambda p: p.drop(memory.count_freed))
    assert broken(mutant, "fault 0 w; zap 0") == set()


READER = "fault 0 w | swap_out; {}"


@pytest.mark.parametrize("design", [SLOPPY, EXACTLY], ids=["sloppy", "exactly"])
@pytest.mark.parametrize("read", READS)
def test_the_reader_that_writes_0_back_is_named(design, read):
    assert "user" in broken(design, READER.format(read), anon=1)


@pytest.mark.parametrize("text", ["fault 0 w | swap_out", "fault 0 w | fault 1 w; statm", "fault 0 w | zap 0; statm"])
def test_lost_updates_are_not_the_readers(text):
    assert "user" not in broken(EXACTLY, text, anon=2)


def test_readers_that_write_nothing_are_not_named():
    drop = dict.fromkeys(READS, lambda p: p.drop(sloppy.correct_mm_rss))
    assert "user" not in broken(EXACTLY.edit(name="m", **drop), READER.format("statm"), anon=1)


def test_a_reader_that_mends_what_was_lost_is_not_named():
    """What stays negative is none but lost: setting it to 0 is right."""
    lost = SLOPPY.edit(name="m", fault=lambda p: p.drop(mm_rss.inc_mm_rss))
    mended = broken(replace(lost, bound=Bound("none", NO_BOUND.pages)), "fault 0 w; zap 0; statm", anon=1)
    assert mended == set()


def test_the_write_of_a_reader_that_is_written_over_is_not_named():
    model = build(SLOPPY, Workload.parse("statm", anon=1))
    layout, m = model.layout, list(model.memory)
    mm, mended = layout.regions["mm_struct"], layout.regions["mended"]
    m[mm.index(0, "rss")] = 1
    assert counter_checks.harmed_by_a_read(m) == HOLDS
    m[mended.index(0, "rss")] = 1
    assert counter_checks.harmed_by_a_read(m) == 0
    m[mm.index(0, "rss")] = 0
    assert counter_checks.harmed_by_a_read(m) == HOLDS


@pytest.mark.parametrize(("together", "exact"), [(False, True), (True, False)])
def test_workers_that_did_not_overlap_are_exact(together, exact):
    mutant = ALONE["a zap that counts nothing"][0]
    pool = worker_pool(mutant, operations=("fault", "zap"))
    pool.perform({0: [Call("fault", address=0, write=True), Call("zap", address=0, end=1)]})
    if together:
        pool.perform({0: [Call("fault", address=1)], 1: [Call("fault", address=2)]})
    verdicts = {v.name: v.ok for v in pool.verdicts()}
    close_pools()
    assert ("rss_exact" in verdicts) == exact
    assert verdicts.get("rss_exact", False) is False
    assert "user" not in verdicts  # it is looked at where `ghost` is kept
