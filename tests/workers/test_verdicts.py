"""Every check holds on a sound design, and is seen to break on something broken."""

import os
from dataclasses import replace

import pytest
from broken_designs import always_wrong, unlocked

from shm_layout.placement import AS_POSTED, BIG_READER
from shm_layout.registers import R_OOPS
from stress import designs
from stress.checks import CHECKS, check_functions
from stress.design import NO_BOUND, Bound
from stress.kernel import bug, proc, pte_access
from stress.kernel.rss import task
from stress.workers.records import Call

MIX = {"fault": 60, "zap": 10, "fork": 1, "clone": 5, "exit": 8, "statm": 6, "status": 5, "stat": 5}


def broken(pool):
    return {v.name for v in pool.verdicts() if not v.ok}


@pytest.mark.parametrize("placement", [AS_POSTED, BIG_READER], ids=lambda p: p.name)
@pytest.mark.parametrize("arch", ["64", "pae"])
@pytest.mark.parametrize("design", ["v12_sound", "page_table_lock"])
def test_sound_designs_hold(make_pool, design, arch, placement):
    pool = make_pool(design, 3, arch=arch, placement=placement)
    result = pool.run(MIX, seed=11, operations=300_000, seconds=20)
    assert result.reads > 0
    assert broken(pool) == set()
    names = [v.name for v in pool.verdicts()]
    assert names == [name for name in CHECKS if name in names]
    assert {"rss_exact", "anon_rss_exact", "read_regular", "read_pair", "mapcount", "page_refs", "progress"} <= set(
        names
    )


def test_too_many_anonymous_pages_show_where_no_file_is_mapped(make_pool):
    """What is shown as shared is 0 then, and not negative."""
    pool = make_pool("v12_reviewed", private_file=0, shared_file=0)
    pool.perform({0: [Call("fault", 0, write=True), Call("clone")]})  # N01: the task takes its anon_rss along
    assert broken(pool) == {"anon_rss_exact"}


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="workers that take turns lose few updates: needs two CPUs")
def test_lost_updates_are_real(make_pool):
    pool = make_pool(unlocked())
    for seed in range(20):
        pool.run({"fault": 6, "zap": 1}, seed=seed, operations=400_000, seconds=5)
        if broken(pool) >= {"rss_exact", "anon_rss_exact"}:
            break
    assert {"rss_exact", "anon_rss_exact"} <= broken(pool)


def test_half_a_compare_is_wrong_above_4g_alone(make_pool):
    v12 = make_pool("v12", arch="pae")
    v12.run(MIX, seed=1, operations=50_000)
    assert {"pfn_valid", "mapcount", "page_refs"} & broken(v12)
    v12.close()
    whole, half = pte_access.PTEP_CMPXCHG, pte_access.PTEP_CMPXCHG_LOW
    sound = designs.get("v12_sound").edit(name="half", fault=lambda p: p.replace(whole, half))
    below = make_pool(sound, arch="pae", above_4g=False)
    below.run(MIX, seed=1, operations=200_000, seconds=20)
    assert broken(below) == set()


def test_statm_as_posted_is_wrong_while_tasks_count(make_pool):
    pool = make_pool("v12", 1)
    pool.perform({0: [Call("fault", 1, write=True), Call("statm")]})
    verdicts = {v.name: v for v in pool.verdicts()}
    assert not verdicts["read_regular"].ok
    assert "statm showed resident 0 of mm 0, true were 1 to 1" in verdicts["read_regular"].detail
    assert not verdicts["rss_exact"].ok
    assert [call["operation"] for call in pool.under_way()] == ["statm"]


@pytest.fixture
def resting(make_pool):
    """A pool at rest with two pages mapped, of which one belongs to the file."""
    pool = make_pool("v12_sound", 1)
    pool.perform({0: [Call("fault", 0, write=True), Call("fault", 38)]})
    assert broken(pool) == set()
    return pool


def mapped_frame(pool):
    page = pool.layout.regions["page"]
    return next(f for f in range(1, pool.machine.frames) if pool.memory[page.index(f, "mapcount")])


@pytest.mark.parametrize(
    ("struct", "field", "check"),
    [
        ("page", "mapcount", "mapcount"),
        ("page", "count", "page_refs"),
        ("mm_struct", "rss", "rss_exact"),
        ("mm_struct", "page_table_lock", "progress"),
        ("mm_struct", "mmap_sem", "progress"),
    ],
)
def test_one_wrong_word_at_rest_is_found(resting, struct, field, check):
    instance = mapped_frame(resting) if struct == "page" else 3  # mm 3 is free
    resting.memory[resting.layout.regions[struct].index(instance, field)] += 1
    if field == "page_table_lock":  # a read of that mm would wait, so no other check is made
        which = [name for name, _ in check_functions(resting.design)].index("progress")
        assert resting.check(which) == 3
    else:
        assert check in broken(resting)


def test_a_read_that_stays_in_rcu_read_lock_is_found(make_pool):
    forgets = designs.get("v12_reviewed").edit(name="forgets", statm=lambda p: p.drop(task.rcu_read_unlock))
    pool = make_pool(forgets, 2)
    pool.perform({1: [Call("statm")]})
    assert [(v.name, v.detail) for v in pool.verdicts() if not v.ok] == [
        ("progress", "at rest: CPU 1 is still in rcu_read_lock")
    ]


def test_what_was_compared_at_rest_is_said(resting, make_pool):
    said = {v.name: v.detail for v in resting.verdicts()}
    assert said["rss_exact"] == "5 mms compared, 2 pages in all"
    assert said["anon_rss_exact"] == "5 mms compared, 1 page in all"
    total_only = designs.get("v12_sound").edit(
        name="total_only", statm=lambda p: p.replace(proc.show_statm_positive, proc.show_rss_positive)
    )
    said = {v.name: v.detail for v in make_pool(total_only, 1).verdicts()}
    assert said["rss_exact"] == "5 mms compared, 0 pages in all"
    assert said["anon_rss_exact"] == "nothing was compared"


def test_what_was_compared_while_running_is_said(make_pool):
    pool = make_pool("v12_sound")
    for mix in ({"statm": 2, "status": 1, "stat": 1}, {"statm": 1}, {"stat": 1}):
        pool.reset()
        ops = pool.run(mix, seed=3, operations=400).ops
        said = {v.name: v.detail for v in pool.verdicts()}
        assert said["read_regular"] == "400 reads compared"
        assert said["read_pair"] == (f"{ops['statm']} reads compared" if "statm" in ops else "nothing was compared")


def test_wrong_anon_rss_at_rest_is_found(resting):
    resting.memory[resting.layout.regions["mm_struct"].index(0, "anon_rss")] -= 1
    verdict = next(v for v in resting.verdicts() if v.name == "anon_rss_exact")
    assert (verdict.ok, verdict.detail) == (False, "mm 0 shows anon_rss 0, true is 1")


@pytest.mark.parametrize("bit", [bug.MAPCOUNT, bug.PAGE_REFS, bug.SWAP_REFS, bug.PFN_VALID, bug.OWNER, bug.USER])
def test_what_a_step_saw_is_a_verdict(resting, bit):
    resting.registers(0)[R_OOPS] |= bit
    assert broken(resting) == {name for name, check in CHECKS.items() if check.oops & bit}


def test_a_read_that_is_off_is_found_while_running(make_pool):
    pool = make_pool("v12_sound")
    pool.memory[pool.layout.regions["mm_struct"].index(0, "rss")] += 1000
    pool.run({"fault": 1, "statm": 1}, seed=1, operations=1_000)
    verdicts = {v.name: v for v in pool.verdicts()}
    assert not verdicts["read_regular"].ok
    assert not verdicts["read_pair"].ok
    assert pool.under_way()


def two_pages(cpus, threads, batch):
    return 2


@pytest.mark.parametrize(("off", "holds"), [(2, True), (3, False)])
def test_an_approximate_counter_is_held_to_its_bound(make_pool, off, holds):
    pool = make_pool(replace(designs.get("page_table_lock"), bound=Bound("2", two_pages)), 1)
    for field in ("rss", "anon_rss"):
        pool.memory[pool.layout.regions["mm_struct"].index(0, field)] += off
    verdicts = {v.name: v for v in pool.verdicts()}
    assert "rss_exact" not in verdicts
    assert verdicts["rss_bounded"].ok == holds
    assert f"{off}" in verdicts["rss_bounded"].detail


def test_without_a_bound_the_error_is_a_figure(make_pool):
    pool = make_pool(replace(designs.get("page_table_lock"), bound=NO_BOUND), 1)
    pool.memory[pool.layout.regions["mm_struct"].index(0, "rss")] += 77
    verdict = next(v for v in pool.verdicts() if v.name == "rss_bounded")
    assert verdict.ok
    assert verdict.detail == "off by 77 at most, the design promises no bound"


def test_a_designs_own_check_is_made(make_pool):
    pool = make_pool(always_wrong(), 1)
    verdict = next(v for v in pool.verdicts() if v.name == "user")
    assert (verdict.ok, verdict.detail) == (False, "at rest: no_page_is_free 7")
