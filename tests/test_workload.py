"""Workloads: their text and JSON forms, and the machine they are given."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shm_layout.errors import UsageError
from stress.operation import Operation, parse_operation
from stress.workload import Workload

PAGE = st.integers(0, 3)
OPERATIONS = st.one_of(
    st.builds(lambda a, w: Operation("fault", a, a + 1, w), PAGE, st.booleans()),
    st.builds(lambda a, n: Operation("zap", a, a + n), PAGE, st.integers(1, 3)),
    st.builds(lambda a, n: Operation("fork", a, a + n), PAGE, st.integers(1, 3)),
    st.sampled_from([Operation(n) for n in ("fork", "clone", "exit", "exec", "swap_out", "statm")]),
    st.builds(lambda n: Operation("swap_out", arg=n), st.integers(1, 3)),
    st.builds(lambda n: Operation("statm", arg=n), st.integers(1, 3)),
    st.builds(lambda a, w, n: Operation("use_mm", a, a + 1, w, n), PAGE, st.booleans(), st.integers(1, 3)),
)


@given(OPERATIONS)
def test_an_operation_reads_what_it_writes(operation):
    assert parse_operation(str(operation)) == operation


@settings(max_examples=50)
@given(
    st.lists(st.lists(OPERATIONS, min_size=1, max_size=3), min_size=1, max_size=3),
    st.lists(OPERATIONS, max_size=3),
)
def test_a_workload_reads_what_it_writes(cpus, setup):
    before = [(i % len(cpus), operation) for i, operation in enumerate(setup)]
    workload = Workload.of(cpus, before, anon=6, mms=8, swap=2)
    assert Workload.parse(str(workload), anon=6, mms=8, swap=2) == workload
    assert Workload.from_json(workload.to_json()) == workload


def test_the_machine_is_just_large_enough():
    machine = Workload.parse("fault 0 w || clone | fault 0 | zap 0-1").machine
    assert (machine.cpus, machine.anon, machine.mms, machine.swap) == (3, 2, 1, 0)
    machine = Workload.parse("fault 2 w; fork; clone | exec; swap_out").machine
    assert (machine.cpus, machine.anon, machine.mms, machine.swap, machine.task_depth) == (2, 3, 3, 1, 3)
    assert machine.frames == 1 + 3 * 3 + 2


@pytest.mark.parametrize(
    "text",
    [
        *("", "|", "fault", "fault x", "fault 0 0", "zap", "clone 0", "fault 0 frame=1"),
        *("5: clone || fault 0", "clone | fault 0 || fault 0", "fault 0" + 127 * " | fault 0"),
    ],
)
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(UsageError):
        Workload.parse(text)


@pytest.mark.parametrize(
    "machine",
    [{"anon": 0}, {"frames": 1}, {"colour": 3}, {"cpus": 5}, {"swap": -1}, {"anon": 3, "child_pages": 1}],
)
def test_a_machine_that_does_not_fit_is_refused(machine):
    with pytest.raises(UsageError):
        Workload.parse("fault 0 | fault 0", **machine)
