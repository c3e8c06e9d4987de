"""scripts/fuzz_designs.py: workloads and design files that nobody would write are taken, or refused in a line."""

import importlib.util
import random
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from shm_layout.errors import UsageError
from stress.commands.explore import read_workload
from stress.program import At, Goto
from stress.workload import Workload

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "fuzz_designs.py"
COUNT = 200


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("fuzz_designs_script", SCRIPT)
    module = sys.modules["fuzz_designs_script"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", ["workloads", "designs"])
def test_each_input_is_taken_or_refused_in_a_line(script, kind, seed):
    told = []
    found, failed = script.fuzz(kind, COUNT, seed, told=told.append)
    assert failed == 0, told
    assert sum(found.values()) == COUNT
    assert min(found["taken"], found["refused"]) > COUNT // 10


def test_designs_that_are_taken_compile_or_are_refused_in_a_line(script):
    told = []
    found, failed = script.fuzz("designs", 30, 7, compiled=6, told=told.append)
    assert failed == 0, told
    assert sum(number for what, number in found.items() if what.startswith("compiled")) == 6


def test_an_input_is_the_same_each_time(script):
    for draw in (script.workload_text, script.design_text):
        assert draw(random.Random("a 1 2")) == draw(random.Random("a 1 2"))


def test_what_ends_in_a_traceback_is_told_and_fails(script, monkeypatch, capsys):
    def fail(*_):
        raise KeyError("lost")

    monkeypatch.setattr(script, "read_workload", fail)
    done = CliRunner().invoke(script.main, ["workloads", "3", "5"])
    assert done.exit_code == 1
    assert done.output.count("KeyError: 'lost'") == 3
    assert "number 2 of seed 5:" in done.output
    assert "3 workloads, seed 5: ; 3 failed" in done.output


def test_an_error_of_status_1_counts_as_none_that_says_what_is_wrong(script):
    with pytest.raises(AssertionError, match="refused without a word"):
        script._refused(UsageError(" "))


# what it found

NO_SETUPS = ("9" * 5000 + ": fault 0 || zap 0", "9\n9: fault 0 || zap 0", "fault\n0 || zap x", "1:\n\nfault 0 || zap 0")


@pytest.mark.parametrize("text", NO_SETUPS)
def test_setups_with_long_numbers_and_ends_of_lines_are_refused(text):
    with pytest.raises(UsageError):
        Workload.parse(text)
    with pytest.raises(UsageError):
        read_workload(text, None, {})


@pytest.mark.parametrize("entry", [At, Goto])
@pytest.mark.parametrize("label", ["x", -1, 0, 2, 10**6, None, 3.0, True])
def test_what_is_no_label_has_no_place_in_a_program(entry, label):
    with pytest.raises(ValueError, match="is no label: declare one with label"):
        entry(label)
