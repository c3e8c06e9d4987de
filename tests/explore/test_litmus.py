"""The engine against the plain explorer and against Spin, on litmus shapes."""

import litmus
import pytest

from shm_layout.layout import Layout
from shm_layout.placement import PACKED
from shm_layout.registers import R_USER
from shm_layout.structs import FIRST_WORD
from stress.explore import explore
from stress.explore.reference import reference

FORBIDDEN = {
    "store buffering": lambda x, y, a, b: a == 0 and b == 0,
    "message passing": lambda x, y, a, b: b == 1 * 4 + 0,
    "load buffering": lambda x, y, a, b: a == 1 and b == 1,
    "IRIW": lambda x, y, a, b, c, d: c == 4 and d == 4,
    "coherence of reads": lambda x, y, a, b: b // 4 > b % 4,
    "atomic add": lambda x, y, a, b: x != 3,
    "locked update": lambda x, y, a, b, c: x != 2,
}
"""What sequential consistency does not allow."""


def outcomes(finals, workload):
    layout = Layout(workload.machine, PACKED)
    x, y = (layout.regions["zone"].index(0, name) - FIRST_WORD for name in ("litmus_x", "litmus_y"))
    return {(memory[x], memory[y], *(r[R_USER] for r in registers)) for memory, *registers in finals}


@pytest.mark.parametrize("shape", litmus.SHAPES)
def test_engine_and_plain_explorer_agree(shape):
    threads = litmus.SHAPES[shape]
    design, workload = litmus.design(threads), litmus.workload(threads)
    result = explore(design, workload, finals=True)
    assert result.complete
    assert result.finals == reference(design, workload).finals
    assert result.outcomes == len(result.finals)
    found = outcomes(result.finals, workload)
    forbidden = FORBIDDEN.get(shape)
    assert forbidden is None or not any(forbidden(*outcome) for outcome in found)


@pytest.mark.parametrize("shape", litmus.SHAPES)
def test_engine_and_spin_agree(shape, tmp_path):
    if missing := litmus.missing_tools():
        pytest.skip(f"{' and '.join(missing)} not found: apt-get install spin gcc")
    threads = litmus.SHAPES[shape]
    workload = litmus.workload(threads)
    result = explore(litmus.design(threads), workload, finals=True)
    assert outcomes(result.finals, workload) == litmus.spin_outcomes(threads, tmp_path)


def test_lost_updates_are_lost():
    threads = litmus.SHAPES["lost update"]
    workload = litmus.workload(threads)
    result = explore(litmus.design(threads), workload, finals=True)
    assert {x for x, *_ in outcomes(result.finals, workload)} == {1, 2, 3}


def test_a_lock_taken_twice_is_a_deadlock():
    threads = ((litmus.lock, litmus.lock), (litmus.set_x,))
    result = explore(litmus.design(threads), litmus.workload(threads))
    (violation,) = result.violations
    assert violation.check == "progress"
    assert result.complete
    assert result.outcomes == 0
    assert reference(litmus.design(threads), litmus.workload(threads)).deadlock
