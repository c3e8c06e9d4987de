"""What the strategies draw is what a machine can perform, and all of it is drawn."""

import pytest
from hypothesis import find, given
from hypothesis import strategies as st

from stress.operation import OPERATIONS
from stress.testing import batches, calls, mixes, small_machine

MACHINES = st.builds(
    small_machine,
    st.integers(1, 4),
    anon=st.integers(1, 9),
    private_file=st.integers(0, 2),
    shared_file=st.integers(0, 2),
    mms=st.integers(1, 4),
)


@given(MACHINES, st.data())
def test_calls_name_what_the_machine_has(machine, data):
    call = data.draw(calls(machine, (*OPERATIONS, "own")))
    assert 0 <= call.address < machine.ptes
    if call.name in ("zap", "fork", "own"):
        assert call.address < call.end <= machine.ptes
    if call.name == "truncate":
        assert call.address >= machine.anon
    assert 0 <= call.arg <= (machine.frames - 1 if call.name == "swap_out" else machine.mms)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_is_drawn(operation):
    found = find(calls(small_machine(), OPERATIONS), lambda call: call.name == operation)
    assert found.name == operation


@given(st.integers(1, 4), st.data())
def test_batches_are_for_several_workers(workers, data):
    batch = data.draw(batches(small_machine(workers), OPERATIONS, workers=workers, most_calls=5))
    assert min(workers, 2) <= len(batch) <= workers
    assert set(batch) <= set(range(workers))
    assert all(1 <= len(script) <= 5 for script in batch.values())


@given(mixes(OPERATIONS))
def test_a_mix_chooses_something(mix):
    assert sum(mix.values()) > 0
    assert set(mix) == set(OPERATIONS)
