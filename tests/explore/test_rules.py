"""Steps that break the rules of steps are refused by name; steps that only look as if they did are not."""

import dataclasses

import pytest
import rule_breakers as steps

from stress import designs
from stress.explore import Bounds, explore, search
from stress.explore.model import model, step_table
from stress.explore.model.rules import RuleError
from stress.kernel import spinlock
from stress.kernel.rss import percpu
from stress.workload import Workload

STRATEGIES = ("breadth-first", "random", "pct", "preemption")
REFUSED = {
    "private_read": (steps.design("a", t=(steps.nothing, steps.private_read)), "t 0 | t 0", "private"),
    "private_plain_read": (steps.design("b", t=(steps.nothing, steps.private_plain_read)), "t 0", "private"),
    "private_write": (steps.design("c", t=(steps.read_x, steps.private_write)), "t 0", "private"),
    "add_in_one": (steps.design("d", t=(steps.add_in_one,)), "t 0 | t 0", "2 accesses"),
    "add_past_the_door": (steps.design("e", t=(steps.add_past_the_door,)), "t 0 | t 0", "2 accesses"),
    "two_words": (steps.design("f", t=(steps.two_words,)), "t 0 | t 0", "2 accesses"),
    "read_twice": (steps.design("g", t=(steps.read_twice,), w=(steps.set_x,)), "t 0 | w 0", "2 accesses"),
    "add_of_cpu_0": (steps.design("h", t=(steps.add_of_cpu_0,)), "t 0 | t 0", "2 accesses"),
    "change_and_wait": (steps.design("i", t=(steps.change_and_wait,)), "t 0", "returns WAIT"),
    "write_constant": (steps.after_rmap("j", steps.write_constant), "fault 0 w", "constant"),
    "write_constant_by_the_door": (steps.after_rmap("k", steps.write_constant_by_the_door), "fault 0 w", "constant"),
    "wrong_stride": (steps.after_rmap("l", steps.wrong_stride), "fault 0 w", "another structure's stride"),
    "no_field": (steps.after_rmap("l", steps.no_field), "fault 0 w", "which is no field: write at(m, FIELD, instance)"),
    "no_such_page": (steps.after_rmap("m", steps.no_such_page), "fault 0 w", "1,000,001: there are 0 to"),
    "page_before_the_first": (steps.after_rmap("n", steps.page_before_the_first), "fault 0 w", "there are 0 to"),
    "out_of_bounds": (steps.after_rmap("o", steps.out_of_bounds), "fault 0 w", "reaches word 1,099,511,627,776"),
    "below_zero": (steps.after_rmap("p", steps.below_zero), "fault 0 w", "reaches word -2"),
    "no_such_register": (steps.after_rmap("q", steps.no_such_register), "fault 0 w", "uses register 1,001"),
    "check_that_writes": (steps.design("r", (steps.check_that_writes,), t=(steps.nothing,)), "t 0", "writes zone"),
    "check_out_of_bounds": (steps.design("s", (steps.check_out_of_bounds,), t=(steps.nothing,)), "t 0", "reaches word"),
}


@pytest.mark.parametrize(
    ("strategy", "memory"),
    [*((name, "sc") for name in STRATEGIES), ("breadth-first", "tso"), ("breadth-first", "pso")],
)
@pytest.mark.parametrize("name", REFUSED)
def test_a_step_that_breaks_a_rule_is_refused_by_name(name, strategy, memory):
    design, text, what = REFUSED[name]
    with pytest.raises(RuleError) as caught:
        search(design, Workload.parse(text), strategy=strategy, memory=memory)
    message = str(caught.value)
    assert f" {name} (rule_breakers.py, line " in message
    assert what in message
    assert "\n" not in message


ALLOWED = {
    "a step declared whole": (steps.design("t", t=(steps.add_as_a_whole,)), "t 0 | t 0"),
    "a test before a compare and exchange": (steps.design("u", t=(steps.test_and_exchange,)), "t 0 | t 0"),
    "a change of the CPU's own word": (steps.design("v", t=(steps.add_own,)), "t 0; t 0 | t 0"),
    "two accesses that nobody meets": (steps.design("w", t=(steps.two_words,)), "t 0; t 0"),
    "registers that are changed before WAIT": (steps.design("x", t=(steps.wait_three_times,)), "t 0 | t 0"),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_a_step_that_nobody_can_tell_from_one_access_is_allowed(name):
    design, text = ALLOWED[name]
    result = explore(design, Workload.parse(text))
    assert result.complete
    assert result.violations == ()


def test_registers_changed_before_wait_make_a_step_go_on_as_in_a_worker():
    result = explore(steps.design("y", t=(steps.wait_three_times,)), Workload.parse("t 0"))
    assert (result.complete, result.violations, result.depth) == (True, (), 4)


WORKLOADS = (
    "fault 0 w | fault 0 w | statm",
    "fault 0 w; zap 0 | fault 0; fault 0 w | swap_out",
    "fault 0 w || fork; fault 0 w; exit | fault 0 w; swap_out | status",
    "1: fault 0 w || clone; fault 1 w; exit | fault 0 w; exec | stat",
    "fault 0; fault 0 w | zap 0-1 | swap_out frame=1; fault 0",
    "fault 1 | fault 1 w; truncate 1 | access_process_vm 0 w mm=0",
    "use_mm 0 w mm=0 | fault 0 w; exit | clone",
    "fork; exit | fork; swap_out frame=1 | fault 0 w",
    "exec | clone; exit | statm",
)


@pytest.mark.parametrize("arch", ["64", "pae"])
@pytest.mark.parametrize("name", designs.names())
def test_the_steps_of_every_design_keep_the_rules(monkeypatch, name, arch):
    """Built-in designs are not watched when they are explored; here they are."""
    monkeypatch.setattr(model, "is_watched", lambda design: True)
    monkeypatch.setattr(step_table, "is_watched", lambda design: True)
    states = 0
    for text in WORKLOADS:
        file = {"shared_file": 1} if "truncate" in text else {}
        workload = Workload.parse(text, arch=arch, anon=1 if file else 2, **file)
        if all(operation.name in designs.get(name).programs for operation in workload.operations()):
            states += explore(designs.get(name), workload, bounds=Bounds(states=10_000)).states
    assert states > 1000


@pytest.mark.parametrize(
    ("name", "left_out", "text", "refused"),
    [
        ("percpu", (percpu.spin_lock_counter, percpu.spin_unlock_counter), "fault 0 w | fault 1 w", "fold_count"),
        ("v12_sound", (spinlock.spin_lock, spinlock.spin_unlock), "clone | clone", "list_add_rcu"),
    ],
)
def test_a_step_of_several_accesses_is_refused_where_an_edit_drops_its_lock(name, left_out, text, refused):
    def drop(program):
        for entry in left_out:
            program = program.drop(entry) if entry in program else program
        return program

    design = designs.get(name)
    operation = text.split()[0]
    sound = explore(design, Workload.parse(text, batch=1))
    assert sound.complete
    edited = design.edit(name="unlocked", **{operation: drop})
    with pytest.raises(RuleError, match=f"step {refused} "):
        explore(edited, Workload.parse(text, batch=1))


def test_programs_of_two_built_in_designs_are_watched():
    """Each may rely on a lock that the other does not take."""
    locked, atomic = designs.get("page_table_lock"), designs.get("atomic")
    assert not step_table.is_watched(dataclasses.replace(locked, name="renamed"))
    assert not step_table.is_watched(locked.without("fork"))
    assert step_table.is_watched(locked.with_programs(fault=atomic.programs["fault"]))


def test_watching_changes_no_figure():
    workload = Workload.parse("fault 0 w; zap 0 | fault 0; statm | swap_out")
    plain = explore(designs.get("v12_sound"), workload)
    edited = dataclasses.replace(designs.get("v12_sound"), name="same", checks=(_holds,))
    watched = explore(edited, workload)
    assert step_table.is_watched(edited)
    assert not step_table.is_watched(designs.get("v12_sound"))
    assert (plain.states, plain.transitions) == (watched.states, watched.transitions)
    assert plain.violations == watched.violations == ()


def _holds(m):
    return -1
