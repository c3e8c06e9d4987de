"""What is counted outside of the mm is not lost: each design holds what it brings along, and mutants of it do not."""

from dataclasses import replace

import pytest

from shm_layout.atomic import fetch_add, read_once, write_once
from shm_layout.machine import Machine
from shm_layout.registers import R_ADDRESS, R_CURRENT, R_RSS, R_TASK, R_WRITE
from shm_layout.structs import MM_RSS, TASK_MM, TASK_RSS, at, task_struct
from stress import designs
from stress.checks import HOLDS
from stress.explore import explore
from stress.kernel import exit as exit_
from stress.kernel import memory
from stress.kernel.rss import cached, deferred, lazy, mm, percpu, task
from stress.kernel.rss.atomic import atomic_add
from stress.labels import COUNTED, IN_BATCH, NOT_OWNER
from stress.program import At, Goto
from stress.sequential import PlainMachine
from stress.step import NEXT, step
from stress.testing import close_pools, worker_pool
from stress.workers.records import Call
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
    word = at(m, TASK_RSS, r[R_CURRENT])
    write_once(m, word, m[word] + 1)
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
        {"user", "owner", "rss_bounded"},
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


@step(private=True)
def put_user_clear_tid(m, r):
    """put_user(0, tsk->clear_child_tid): a write to page 0 of the mm."""
    r[R_ADDRESS] = 0
    r[R_WRITE] = 1
    return NEXT


@step
def sync_rss_without_end(m, r):
    """sync_rss that leaves current's count as it is."""
    word = at(m, TASK_RSS, r[R_CURRENT])
    fetch_add(m, m[MM_RSS] + m[at(m, TASK_MM, r[R_CURRENT])], m[word])
    return NEXT


@step
def sync_rss_to_mm_0(m, r):
    """sync_rss that adds current's count to mm 0, whatever it runs on."""
    word = at(m, TASK_RSS, r[R_CURRENT])
    fetch_add(m, m[MM_RSS], m[word])
    write_once(m, word, 0)
    return NEXT


TASK_OWN = task_struct.word("test_rss", "the task: faults", "pages counted by a design of the tests")


@step
def count_on_own(m, r):
    """current->test_rss++, in the place of current->rss++."""
    word = at(m, TASK_OWN, r[R_CURRENT])
    write_once(m, word, m[word] + 1)
    return NEXT


@step
def add_own(m, r):
    """rss += tsk->test_rss, after rss += tsk->rss."""
    r[R_RSS] = r[R_RSS] + read_once(m, at(m, TASK_OWN, r[R_TASK] - 1))
    return NEXT


@step(private=True)
def one_more(m, r):
    """A read shows a page too many."""
    r[R_RSS] = r[R_RSS] + 1
    return NEXT


CACHED, DEFERRED, SOUND = (designs.get(name) for name in ("cached", "deferred", "v12_sound"))
PERCPU, LAZY = designs.get("percpu"), designs.get("lazy")


def late(design, last):
    """The design whose task that exits faults after the step ``last``."""
    fault = (put_user_clear_tid, tuple(design.programs["fault"]))
    return design.edit(name=None if design.name == "m" else "m", exit=lambda p: p.after(last, *fault))


def too_late(design):
    """The design whose task faults when it has let go of its mm."""
    fault = (put_user_clear_tid, tuple(design.programs["fault"]))
    return design.edit(name="m", exit=lambda p: p.before(exit_.schedule_parent, *fault))


def dropping(design, operation, *steps):
    """The design without these steps of an operation."""

    def drop(p):
        for each in steps:
            p = p.drop(each)
        return p

    return design.edit(name=None if design.name == "m" else "m", **{operation: drop})


def unchecked(design):
    """The same without its own checks: what is left is the bound."""
    return replace(design, checks=())


NO_FOLD = (task.fold_rss, task.fold_anon_rss)
ENDED = {
    "a fault after the fold of cached": (late(CACHED, cached.no_events), "clone || exit", "user"),
    "a fault after the fold of deferred": (late(DEFERRED, deferred.folded), "clone || exit", "user"),
    "a fault after mmput of others": (too_late(CACHED), "clone || exit", "user"),
    "a fault after mmput": (too_late(CACHED), "fork || exit", "page_refs"),
    "exit of cached without a fold": (dropping(CACHED, "exit", cached.sync_rss), "clone; fault 0 w || exit", "user"),
    "exec of cached without a fold": (dropping(CACHED, "exec", cached.sync_anon_rss), "fault 0 w || exec", "user"),
    "unuse_mm of cached without a fold": (
        dropping(CACHED, "use_mm", cached.sync_rss, cached.sync_anon_rss),
        "use_mm 0 w",
        "user",
    ),
    "exit of cached that folds twice": (
        CACHED.edit(name="m", exit=lambda p: p.before(cached.sync_rss, sync_rss_without_end)),
        "fork; fault 0 w || exit",
        "user",
    ),
    "exit of cached that folds to another mm": (
        CACHED.edit(name="m", exit=lambda p: p.replace(cached.sync_rss, sync_rss_to_mm_0)),
        "fork; fault 0 w || exit",
        "user",
    ),
    "exec that folds after activate_mm": (
        dropping(CACHED, "exec", cached.sync_rss).edit(exec=lambda p: p.after(exit_.activate_mm, cached.sync_rss)),
        "fault 0 w || exec",
        "user",
    ),
    "exit of deferred without a fold": (dropping(DEFERRED, "exit", *NO_FOLD), "clone; fault 0 w || exit", "user"),
    "a free mm whose count is not 0": (
        unchecked(dropping(CACHED, "exit", cached.sync_anon_rss)),
        "fork; fault 0 w || exit",
        "rss_bounded",
    ),
    "a free mm without a bound": (
        unchecked(dropping(DEFERRED, "exit", *NO_FOLD)),
        "fork; fault 0 w || exit",
        "rss_bounded",
    ),
    "a task that has ended stays on the list": (
        dropping(SOUND, "exit", *NO_FOLD, task.list_del_rcu),
        "clone; fault 0 w || exit",
        "rss_exact",
    ),
    "a fault of a task that stays on the list": (
        late(dropping(SOUND, "exit", task.list_del_rcu), task.fold_anon_rss),
        "clone || exit",
        "rss_exact",
    ),
    "a field of tasks that a design adds": (
        dropping(SOUND, "exit", task.list_del_rcu).edit(
            fault=lambda p: p.replace(task.inc_task_rss, count_on_own),
            statm=lambda p: p.after(task.add_task_rss, add_own),
        ),
        "clone; fault 0 w || exit",
        "rss_exact",
    ),
    "a page that is mapped in a free mm": (too_late(PERCPU), "fork || exit", "rss_exact"),
    "exit_mmap of percpu counts nothing": (
        dropping(PERCPU, "exit", memory.count_freed),
        "fork; fault 0 w || exit",
        "rss_exact",
    ),
    "exit_mmap of lazy counts nothing": (
        dropping(unchecked(LAZY), "exit", memory.count_freed),
        "fork; fault 0 w || exit",
        "rss_exact",
    ),
    "a single mm that is free": (dropping(LAZY, "exit", memory.count_freed), "fork; fault 0 w || exit", "user"),
    "a new mm whose single count is not set": (
        dropping(dropping(LAZY, "fork", lazy.init_single), "exec", lazy.init_single),
        "fault 0 w; exec || fork",
        "user",
    ),
    "a new mm whose CPUs' counts are not set": (
        dropping(PERCPU, "fork", percpu.percpu_counter_init),
        "fork; fault 0 w; fault 1 w; 1: swap_out; exit || fork | zap 0",
        "anon_rss_exact",
    ),
}


@pytest.mark.parametrize("case", ENDED)
def test_what_has_ended_is_held_to_nothing_being_left(case):
    mutant, text, check = ENDED[case]
    workload = Workload.parse(text, anon=2, batch=2)
    assert explore(mutant, workload).violation(check)
    sound = explore(designs.get(mutant.base), workload)
    assert (sound.violations, sound.complete) == ((), True)


def test_a_fault_before_the_fold_is_counted():
    early = CACHED.edit(
        name="early",
        exit=lambda p: p.after(exit_.do_exit, put_user_clear_tid, tuple(CACHED.programs["fault"])),
    )
    result = explore(early, Workload.parse("clone || exit"))
    assert (result.violations, result.complete) == ((), True)


def test_counts_that_cpus_are_left_with_are_destroyed_with_the_mm():
    """Without a precise read nobody can say whether what a free mm shows is with the CPUs; where none is, it is 0."""
    approximate = PERCPU.without("precise")
    workload = "fork; fault 0 w; fault 1 w; 1: swap_out || exit | fault 0"
    for batch in (1, 2, 3):
        assert explore(approximate, Workload.parse(workload, anon=2, batch=batch)).violations == ()
    lost = dropping(approximate, "exit", memory.count_freed)
    workload = "fork; fault 0 w; fault 1 w; fault 2 w || exit | fault 0"
    assert explore(lost, Workload.parse(workload, batch=3)).violation("rss_bounded")


def test_a_bound_of_0_is_a_bound():
    """With a batch of 1 no CPU holds anything back: what reads show is held to that beside the precise sum."""
    off = PERCPU.edit(name="m", statm=lambda p: p.after(mm.sum_mm_rss, one_more))
    workload = Workload.parse("fault 0 w", batch=1)
    assert {v.check for v in explore(off, workload).violations} == {"rss_bounded"}
    assert explore(PERCPU, workload).violations == ()


@pytest.mark.parametrize(
    ("mutant", "checks"),
    [
        (late(CACHED, cached.no_events), {"user", "rss_bounded"}),
        (dropping(SOUND, "exit", *NO_FOLD, task.list_del_rcu), {"rss_exact", "anon_rss_exact"}),
        (too_late(PERCPU), {"rss_exact", "anon_rss_exact", "page_refs", "mapcount"}),
    ],
    ids=["cached", "list", "after mmput"],
)
def test_workers_are_held_to_it_too(mutant, checks):
    pool = worker_pool(mutant, operations=("fault", "fork", "exit"))
    pool.perform({0: [Call("fork", address=0, end=10), Call("fault", address=3, write=True), Call("exit")]})
    broken = {v.name for v in pool.verdicts() if not v.ok}
    close_pools()
    assert broken
    assert broken <= checks


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
