"""Tests on this machine's memory: what is seen is what x86-TSO allows, and what it forbids is reported."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from numba import types

from stress.cli import main
from stress.litmus.machine_run import run as machine_run
from stress.litmus.machine_run.loop_source import Layout
from stress.litmus.outcomes import outcomes
from stress.litmus.reading import read_test
from stress.litmus.unsupported import Unsupported

GALLERY = Path(__file__).parents[2] / "examples" / "litmus"


def model(name, memory="tso"):
    return outcomes(read_test((GALLERY / f"{name}.litmus").read_text(), name), memory)


def test_histogram_is_held_against_tso():
    done = CliRunner().invoke(main, ["litmus", str(GALLERY / "SB.litmus"), "--run", "--seconds", "0.5", "--json"])
    data = json.loads(done.stdout)
    assert done.exit_code == 0
    assert sum(seen["count"] for seen in data["seen"]) == data["run"]["instances"] > 0
    assert all(seen["allowed"] for seen in data["seen"])
    assert data["run"]["forbidden"] == 0


def test_state_that_the_model_forbids_is_reported():
    seen = machine_run.run(model("SB"), 0.3, 1)
    state = seen.counts[0][0]
    allowed = model("SB")
    narrow = replace(allowed, states=[s for s in allowed.states if s != state])
    again = machine_run.run(narrow, 0.3, 1)
    assert again.forbidden > 0


@pytest.mark.parametrize(
    ("name", "thread", "order"),
    [("LB", 0, ["load", "store"]), ("MP", 0, ["store", "store"]), ("MP", 1, ["load", "load"])],
)
def test_compiler_keeps_accesses_in_order(name, thread, order):
    test = model(name).test
    body = machine_run.compiled(test, thread, Layout(test, test.locations))["body"]
    body.compile((types.CPointer(types.int64), types.int64, types.int64))
    (code,) = body.inspect_llvm().values()
    accesses = re.findall(r"(load|store) atomic i64.* monotonic|fence syncscope.\"(singlethread)", code)
    kinds = [kind or "|" for kind, _ in accesses]
    assert kinds[:4] == [order[0], "|", order[1], "|"]


def test_rcu_on_real_memory_is_refused():
    with pytest.raises(Unsupported, match="RCU with --run"):
        machine_run.run(model("RCU-MP"), 0.1, 1)
