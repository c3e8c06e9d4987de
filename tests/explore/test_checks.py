"""Each check is seen to fail, on a design that is broken in that point, and to hold for the design mended."""

from dataclasses import replace

import pytest

from shm_layout.layout import Layout
from shm_layout.machine import Machine
from shm_layout.structs import NR_PAGES, PAGE_FLAGS, at
from stress import checks, designs
from stress.checks import HOLDS, mapcount
from stress.design import Bound
from stress.explore import explore
from stress.explore.counterexample.trace import trace
from stress.explore.model.check_bits import NAMES
from stress.explore.model.model import build
from stress.explore.reference import reference
from stress.findings.n12 import sound_two_levels
from stress.kernel import page_alloc, pgalloc, spinlock, swap, tlb, vmscan
from stress.kernel.boot import boot
from stress.kernel.bug import USER, oops
from stress.kernel.pgtable import PG_FREE
from stress.kernel.rss import mm as mm_rss
from stress.kernel.rss import ptlock_split, task
from stress.labels import DO_ANONYMOUS_PAGE
from stress.step import NEXT, step
from stress.workload import Workload

TWO_LEVELS = sound_two_levels()
V12, SOUND, LOCKED = (designs.get(name) for name in ("v12", "v12_sound", "page_table_lock"))


@step
def count_twice(m, r):
    oops(r, USER)
    return NEXT


def one_page(cpus, threads, batch):
    return 1


def first_page_is_free(m):
    return -1 if m[at(m, PAGE_FLAGS, 1)] == PG_FREE else 1


def one_page_is_mapped_at_most(m, w):
    """Whether `mapcount` is right, and its scratch words say that no more than one page is mapped."""
    if mapcount(m, w) != HOLDS:
        return 0
    pages = 0
    for frame in range(m[NR_PAGES]):
        pages += w[frame] != 0
    return HOLDS if pages <= 1 else pages


def checked(design, *functions):
    return replace(design, checks=functions)


def bounded(design):
    return replace(design, bound=Bound("1", one_page))


LATE_FLUSH = LOCKED.edit(zap=lambda p: p.drop(tlb.flush_tlb_page).before(spinlock.up_write, tlb.flush_tlb_mm))
"""A zap that gives pages back first and flushes at its end."""
LATE_SWAP_FLUSH = LOCKED.edit(swap_out=lambda p: p.drop(tlb.flush_tlb_page).after(vmscan.pageout, tlb.flush_tlb_page))

BROKEN = {
    "rss_exact": (LOCKED.edit(fault=lambda p: p.drop(mm_rss.inc_mm_rss, within=DO_ANONYMOUS_PAGE)), "fault 0 w", {}),
    "anon_rss_exact": (
        LOCKED.edit(fault=lambda p: p.drop(mm_rss.inc_mm_anon_rss, within=DO_ANONYMOUS_PAGE)),
        "fault 0 w",
        {},
    ),
    "rss_bounded": (
        bounded(LOCKED.edit(fault=lambda p: p.drop(mm_rss.inc_mm_rss, within=DO_ANONYMOUS_PAGE))),
        "fault 0 w; fault 1 w",
        {},
    ),
    "read_regular": (V12, "fault 0 w || statm", {}),
    "read_pair": (
        LOCKED.edit(fault=lambda p: p.drop(mm_rss.inc_mm_rss, within=DO_ANONYMOUS_PAGE)),
        "fault 0 w || statm",
        {},
    ),
    "mapcount": (V12, "fault 0 w | swap_out frame=1", {}),
    "page_refs": (SOUND.edit(zap=lambda p: p.drop(page_alloc.page_cache_release)), "fault 0 w; zap 0", {}),
    "pfn_valid": (V12, "fault 0 w || fork; fault 0 w | fault 0", {"arch": "pae"}),
    "data_kept": (V12, "fault 0 w | swap_out frame=1", {}),
    "mmu_cache": (V12, "fault 0 w | swap_out frame=1", {"mmu": True}),
    "tlb": (LATE_FLUSH, "1: fault 0 w || zap 0 | fault 0 w", {"mmu": True}),
    "page_tables": (
        TWO_LEVELS.edit(fault=lambda p: p.drop(pgalloc.mm_inc_nr_ptes)),
        "fault 0 w",
        {},
    ),
    "dropped": (
        designs.get("linux_6_8").edit(madvise_dontneed=lambda p: p[:3] + p[-2:]),
        "fault 0 w || madvise_dontneed 0",
        {},
    ),
    "owner": (V12, "fork || fault 0 | access_process_vm 0 w mm=1", {}),
    "progress": (LOCKED.edit(zap=lambda p: p.drop(spinlock.spin_unlock)), "zap 0 | zap 0", {}),
    "user": (checked(SOUND, first_page_is_free), "fault 0 w", {}),
}


def test_every_check_is_here():
    assert set(BROKEN) == set(NAMES)


@pytest.mark.parametrize("check", BROKEN)
def test_check_fails_on_a_broken_design(check):
    design, text, machine = BROKEN[check]
    workload = Workload.parse(text, **machine)
    violation = explore(design, workload).violation(check)
    assert violation is not None
    found = trace(build(design, workload), violation)
    assert found.wrong
    assert len(found.rows) == violation.length


@pytest.mark.parametrize(
    ("design", "text"),
    [
        (LATE_FLUSH, "1: fault 0 w || zap 0 | fault 0 w"),
        (LOCKED.edit(zap=lambda p: p.drop(tlb.flush_tlb_page)), "1: fault 0 w || zap 0 | fault 0 w"),
        (LATE_SWAP_FLUSH, "1: fault 0 w || swap_out | fault 0 w"),
    ],
    ids=["flushed late", "never flushed", "flushed behind pageout"],
)
def test_a_page_that_is_freed_while_a_cpu_maps_it_is_told(design, text):
    """At rest nothing is seen of a translation that outlives its page and is flushed before the operation ends."""
    with_cache, without = (explore(design, Workload.parse(text, mmu=mmu)) for mmu in (True, False))
    assert [v.check for v in with_cache.violations] == ["tlb"]
    assert (without.violations, without.complete) == ((), True)


@pytest.mark.parametrize("name", ["page_table_lock", "v12_sound", "ptlock_split"])
@pytest.mark.parametrize("text", ["1: fault 0 w || zap 0 | fault 0 w", "1: fault 0 w || swap_out | fault 0 w"])
def test_designs_that_flush_in_time_hold(name, text):
    result = explore(designs.get(name), Workload.parse(text, mmu=True))
    assert (result.violations, result.complete) == ((), True)


KEPT = {
    "a lock of mm 0 is held": (
        designs.get("ptlock_split").edit(zap=lambda p: p.drop(ptlock_split.pte_unmap_unlock)),
        "fault 0 w; zap 0",
    ),
    "CPU 1 stays in rcu_read_lock": (
        designs.get("v12_reviewed").edit(statm=lambda p: p.drop(task.rcu_read_unlock)),
        "fault 0 w | statm mm=0",
    ),
}


@pytest.mark.parametrize("told", KEPT)
def test_what_is_kept_at_rest_is_told(told):
    design, text = KEPT[told]
    workload = Workload.parse(text)
    (violation,) = explore(design, workload).violations
    assert violation.check == "progress"
    assert told in trace(build(design, workload), violation).wrong


def test_a_pair_may_be_off_by_the_operations_under_way():
    """rss is read before a fault counts, and anon_rss after it: shared is -1, as one operation under way allows."""
    result = explore(LOCKED, Workload.parse("fault 0 w | statm mm=0"))
    assert (result.violations, result.complete) == ((), True)


def test_a_bound_is_of_anon_rss_too():
    """Two faults that do not count theirs: rss and shared are within their bounds."""
    design = replace(LOCKED, bound=Bound("1", one_page)).edit(
        fault=lambda p: p.drop(mm_rss.inc_mm_anon_rss, within=DO_ANONYMOUS_PAGE)
    )
    one, two = (explore(design, Workload.parse(text)) for text in ("fault 0 w", "fault 0 w; fault 1 w"))
    assert one.violations == ()
    assert [v.check for v in two.violations] == ["rss_bounded"]


def test_each_lock_of_a_page_table_is_its_mms():
    layout = Layout(Machine(cpus=1, mms=3, anon=10, frames=20, ptrs_per_pte=4, child_pages=5))
    m = [0] * layout.words
    boot(layout, m)
    assert checks.locks_free(m) == checks.HOLDS
    table = layout.regions["page_table"]
    found = []
    for instance in range(table.count):
        m[table.index(instance, "ptl")] = 1
        found.append(checks.locks_free(m))
        m[table.index(instance, "ptl")] = 0
    assert found == [0, 0, 0, 1, 1, 2, 2]


def test_what_is_wrong_is_said_where_shared_is_right_by_luck():
    # statm of V12 shows shared 1 - 1 of a pte whose frame does not exist: 0, as the truth has it
    workload = Workload.parse("fault 0 w | swap_out", arch="pae")
    violation = explore(V12, workload).violation("anon_rss_exact")
    assert violation is not None
    assert "anon_rss 1 (true: 0)" in trace(build(V12, workload), violation).wrong


@pytest.mark.parametrize("check", [c for c in BROKEN if c != "user"])
def test_nothing_fails_on_the_sound_design(check):
    _, text, machine = BROKEN[check]
    workload = Workload.parse(text, **machine)
    used = {operation.name for operation in workload.operations()}
    sound = SOUND if used <= SOUND.programs.keys() else designs.get("linux_6_8")
    result = explore(sound, workload)
    assert result.complete
    assert not result.violations


def test_a_step_of_ones_own_can_report():
    design = SOUND.edit(fault=lambda p: p.after(swap.lru_cache_add_active, count_twice, within=DO_ANONYMOUS_PAGE))
    workload = Workload.parse("fault 0 w")
    violation = explore(design, workload).violation("user")
    assert trace(build(design, workload), violation).rows[-1].step == "count_twice"


def test_only_the_checks_asked_for_are_looked_at_and_those_that_end_a_path():
    workload = Workload.parse("fault 0 w | swap_out frame=1")
    assert {"rss_exact", "anon_rss_exact"} <= {v.check for v in explore(V12, workload).violations}
    assert [v.check for v in explore(V12, workload, checks=["data_kept"]).violations] == ["mapcount", "data_kept"]


def test_a_check_of_ones_own_is_given_scratch_words():
    design = checked(SOUND, first_page_is_free, one_page_is_mapped_at_most)
    allowed, broken = Workload.parse("fault 0 w; zap 0 | swap_out"), Workload.parse("fault 0 w | fault 1 w")
    only_scratch = checked(SOUND, one_page_is_mapped_at_most)
    assert explore(only_scratch, allowed).violations == ()
    assert reference(only_scratch, allowed).broken == set()
    for chosen in (only_scratch, design):
        violation = explore(chosen, broken).violation("user")
        assert trace(build(chosen, broken), violation).wrong
        assert reference(chosen, broken).broken == {"user"}


def test_an_operation_of_another_name_and_no_read_are_fine():
    design = SOUND.without("statm", "status", "stat")
    assert explore(design, Workload.parse("fault 0 w | zap 0")).complete
