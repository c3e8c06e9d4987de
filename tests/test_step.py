"""Declaring steps, helpers and labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stress import declarations, designs, labels
from stress.kernel import exit as exit_
from stress.kernel import fork, memory, page_alloc, pte_access, rmap, spinlock
from stress.labels import label, label_info, outcomes
from stress.program import assemble
from stress.step import DONE, NEXT, WAIT, helper, helpers, info, possible_outcomes, step

HERE = labels.STALE
BACK = labels.AGAIN
ALIAS = HERE


@step(waits=True)
def every_way(m, r):
    """All kinds of return."""
    if r[0] == 0:
        return HERE if r[1] else (WAIT if r[2] else BACK)
    return DONE


@step
def by_another_name(m, r):
    return ALIAS


@step
def unnamed(m, r):
    return r[0]


@step
def literal(m, r):
    return 1


@step
def unknown(m, r):
    return not_defined_anywhere  # noqa: F821


def test_a_step_stays_a_plain_function():
    assert every_way([], [0, 1, 0]) == HERE
    assert every_way([], [1]) == DONE


def test_what_is_declared_of_a_step():
    declared = info(every_way)
    assert (declared.name, declared.private, declared.waits) == ("every_way", False, True)
    plain = info(by_another_name)
    assert (plain.private, plain.waits) == (False, False)
    alone = info(memory.next_pte)
    assert (alone.private, alone.waits) == (True, False)


def test_a_private_step_cannot_wait():
    with pytest.raises(TypeError, match="step keeps_waiting is private and waits"):

        @step(private=True, waits=True)
        def keeps_waiting(m, r):
            return WAIT


def test_what_is_no_step_is_refused():
    for other in (len, lambda m, r: 0, [], 3):
        with pytest.raises(TypeError, match="is no step: declare it with @step"):
            info(other)


def test_possible_outcomes_are_those_returned():
    assert possible_outcomes(every_way) == {HERE, BACK, WAIT, DONE}
    assert possible_outcomes(by_another_name) == {HERE}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (exit_.mmput, {NEXT, labels.LAST}),
        (fork.alloc_task_struct, {NEXT, DONE, WAIT}),
        (fork.copy_one_pte, {NEXT, labels.SKIP, labels.SWAP_ENTRY, labels.RESERVED}),
        (memory.next_pte, {NEXT, labels.NEXT_PTE}),
        (page_alloc.alloc_copy, {NEXT, labels.OUT}),
        (pte_access.ptep_cmpxchg, {NEXT, labels.RACED}),
        (rmap.if_page_anon, {NEXT, labels.NOT_ANON}),
        (spinlock.spin_lock, {NEXT, WAIT}),
        (spinlock.spin_unlock, {NEXT}),
    ],
)
def test_possible_outcomes_of_the_kernel(function, expected):
    assert possible_outcomes(function) == expected


@pytest.mark.parametrize("function", [unnamed, literal, unknown])
def test_outcomes_that_cannot_be_read_off_are_refused(function):
    with pytest.raises(TypeError, match="return NEXT, DONE, WAIT or a label"):
        possible_outcomes(function)


def test_a_step_that_waits_says_so():
    for name in designs.names():
        for operation, program in designs.get(name).programs.items():
            for function in assemble(program, "pae").steps:
                waits = WAIT in possible_outcomes(function)
                assert waits == info(function).waits, (name, operation, info(function).name)


@given(name=st.text(min_size=1), back=st.booleans(), section=st.booleans())
def test_the_same_label_is_declared_once(name, back, section):
    before = list(labels._labels)
    try:
        first = label(name, back=back, section=section)
        count = outcomes()
        assert label(name, back=back, section=section) == first
        assert outcomes() == count
        assert first not in (NEXT, DONE, WAIT)
        found = label_info(first)
        assert (found.name, found.back, found.section) == (name, back, section)
        assert label(name, back=not back, section=section) != first
    finally:
        labels._labels[:] = before


def test_a_helper_is_listed_once_and_stays_a_function():
    def twice(x):
        return 2 * x

    before = helpers()
    assert helper(twice)(4) == 8
    assert helpers() == [*before, twice]
    helpers().remove(twice)
    assert twice in helpers()  # a copy was handed out
    declarations.HELPERS.remove(twice)  # nothing to compile
