"""Counterexamples as data: accesses, which write a read saw, what a check depends on, which accesses conflict."""

import random

import pytest

from shm_layout.registers import R_ADDRESS
from stress import designs, findings
from stress.explore import explore
from stress.explore.counterexample.dependence import decided_by
from stress.explore.counterexample.history import BEGINNING, history
from stress.explore.counterexample.slicing import conflicts, deciding
from stress.explore.counterexample.trace import Player
from stress.explore.model.model import build
from stress.explore.result import Violation
from stress.labels import label
from stress.program import At, Program, assemble
from stress.step import DONE, NEXT, WAIT, step
from stress.workload import Workload


def of_finding(identifier):
    finding = findings.get(identifier)
    design, workload = finding.posted(), finding.case.parse()
    violation = explore(design, workload, memory=finding.memory).violation(finding.check)
    return history(build(design, workload, finding.memory), violation)


@pytest.fixture(scope="module", params=["F11", "N03", "N04", "F10"])
def found(request):
    return of_finding(request.param)


def test_accesses_lead_from_each_state_to_the_next(found):
    """Held against the memory itself: all that differs between two states was written by the step between."""
    for move, before, behind in zip(found.moves, found.memories[:-1], found.memories[1:], strict=True):
        shadow = found.model.layout.regions["written"]
        differ = {i for i, (a, b) in enumerate(zip(before, behind, strict=True)) if a != b}
        differ -= set(range(shadow.start, shadow.end))
        assert differ == {a.word for a in move.writes() if a.new != a.old}
        for access in move.accesses:
            assert (access.old, access.new) == (before[access.word], behind[access.word])
            at, instance = found.model.layout.field_at(access.word)
            assert (access.field, access.instance) == (at.name, instance)
            assert found.model.layout.regions[access.structure].index(instance, at.name) == access.word


def test_a_read_names_the_last_write_before_it(found):
    for move in found.moves:
        for access in move.reads():
            writer = move.seen[access.word]
            between = found.moves[writer : move.number - 1]
            assert not any(m.access(access.word) and m.access(access.word).writes for m in between)
            if writer == BEGINNING:
                assert access.old == found.memories[0][access.word]
            else:
                written = found.moves[writer - 1].access(access.word)
                assert written.writes
                assert written.new == access.old


def test_what_other_steps_write_has_no_influence(found):
    """Counters that steps without influence wrote are spoiled behind each of them: the same step breaks the check."""
    kept, draw = deciding(found), random.Random(7)
    assert len(found.moves) in kept or found.violation.at_rest
    assert 2 < len(kept) < len(found.moves) * 3 / 4
    player, spoiled = Player(found.model), 0
    for move in found.moves:
        row = player.move(move.cpu)
        assert (row.step, row.broken) == (move.step, move.broken)
        for access in [] if move.number in kept else move.writes():
            if "rss" in access.field or access.field == "content":
                player.m[access.word] += draw.randrange(1, 1000)
                spoiled += 1
    if found.violation.at_rest:
        assert found.violation.check in player.broken_at_rest()
    assert spoiled


@pytest.mark.parametrize(
    ("identifier", "steps", "word"),
    [
        ("F11", ("page_remove_rmap", "page_add_anon_rmap"), "page 1 mapcount"),
        ("N03", ("read_pte", "ptep_xchg"), "pte 0:0"),
        ("N04", ("ptep_cmpxchg", "set_pte_high"), "pte 0:0"),
        ("F15", ("get_64bit_nolock_read", "cmpxchg8b_nolock_write"), "pte 0:0"),
        ("N07", ("sum_mm_rss", "sub_mm_rss"), "mm 0 rss"),
        ("W01", ("set_pte_high", "user_access_anywhere"), "pte 0:0"),
        ("W02", ("list_add_unordered", "next_task"), "task 1 next"),
        ("W03", ("inc_task_rss", "add_task_rss"), "task 0 rss"),
    ],
)
def test_the_two_accesses_that_conflict_are_those_of_the_finding(identifier, steps, word):
    found = of_finding(identifier)
    first = conflicts(found)[0]
    assert (first.first.step, first.second.step) == steps
    assert first.name == word
    assert first.first.cpu != first.second.cpu
    assert first.ahead == (first.second.number > len(found.moves))


def test_a_store_is_seen_by_others_when_it_has_left_its_buffer():
    found = of_finding("W02")
    waited = [(m, a) for m in found.moves for a in m.writes() if a.waits]
    assert waited
    for move, access in waited:
        leaves = [d.number for d in found.moves if d.drains and d.seen.get(access.word) == move.number]
        assert len(leaves) <= 1
        until = leaves[0] if leaves else len(found.moves) + 1
        assert until > move.number
        readers = [m for m in found.moves[move.number :] if m.cpu != move.cpu and access.word in m.seen]
        assert all(reader.seen[access.word] != move.number for reader in readers)
        waits = found.stores[move.number][move.cpu]
        assert f"{access.name} {access.new_text}" in waits
        assert access.new == access.old or found.memories[until - 1][access.word] == access.old
    assert any(conflict.says[1].startswith("Another store overtakes it") for conflict in conflicts(found))


def test_the_preparation_ends_where_the_steps_begin():
    found = of_finding("N03")
    assert [(p.cpu, p.operation) for p in found.prepared] == [(0, "fault 0 w"), (0, "swap_out"), (0, "fault 0")]
    assert found.prepared[-1].memory == found.memories[0]
    assert len({p.memory for p in found.prepared}) == 3


@step(waits=True)
def never_free(m, r):
    return WAIT if r[R_ADDRESS] == 0 else NEXT


def test_a_deadlock_depends_on_nothing_that_was_written():
    design = designs.get("v12_sound").edit(zap=lambda p: Program(never_free, *p), name="stuck")
    model = build(design, Workload.parse("fault 0 w | zap 0"))
    player, schedule = Player(model), ()
    while player.move(0) is not None:
        schedule += (0,)
    found = history(model, Violation("progress", schedule, True))
    assert found.found.wrong == "deadlock: CPU 1 waits in never_free"
    assert deciding(found) == frozenset()
    assert conflicts(found) == ()


def test_branches_that_decide_are_found():
    over = label("over_test_history")

    @step
    def branch(m, r):
        return over if r[10] else NEXT

    @step
    def inner(m, r):
        return NEXT

    @step
    def behind(m, r):
        return NEXT

    @step
    def leave(m, r):
        return DONE if r[11] else NEXT

    program = assemble(Program(branch, inner, At(over), behind, leave, behind), "64")
    assert decided_by(program) == (frozenset(), {0}, frozenset(), frozenset(), {3})
