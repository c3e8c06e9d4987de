"""Machine files: those that ship, and one line for each thing that can be wrong with one."""

import pytest
from click.testing import CliRunner

from shm_layout.errors import UsageError
from stress.cli import main
from stress.compiling.clock import IS_X86, ticks_per_ns
from stress.scale.machine import SHIPPED, get_machine, parse_machine, text_of
from stress.scale.measure_machine import time_work

GOOD = text_of(get_machine("2026"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_machine_is_read_and_written_again(name):
    machine = get_machine(name)
    assert parse_machine(text_of(machine), "again") == machine


WRONG = {
    "no TOML": ("cpus = 384", "cpus = = 384"),
    "no key 'cpu'; did you mean cpus": ("cpus = 384\n\n[[levels]]", "cpu = 384\n\n[[levels]]"),
    "line: memory_ns is missing: give it": ("memory_ns = 110\n", ""),
    "line: no key 'memory'; did you mean memory_ns": ("memory_ns", "memory"),
    "line: own_ns is 'one': give a number": ("own_ns = 1\n", 'own_ns = "one"\n'),
    "line: own_ns is -1: give a number 0 or more": ("own_ns = 1\n", "own_ns = -1\n"),
    "line: own_ns is nan: give a number 0 or more": ("own_ns = 1\n", "own_ns = nan\n"),
    "memory: near_gb_s is 0: give a number above 0": ("near_gb_s = 12", "near_gb_s = 0"),
    "fault: page_bytes is 4096.5: give a whole number": ("page_bytes = 4096", "page_bytes = 4096.5"),
    "level 2: cpus is true": ("cpus = 16\n", "cpus = true\n"),
    "level 'cluster' has 3 CPUs: a multiple of the 2": ("cpus = 16\n", "cpus = 3\n"),
    "the last level, 'machine', has 384 of 400 CPUs": ("cpus = 384\n\n[[levels]]", "cpus = 400\n\n[[levels]]"),
    "cpus is 5000: at most 4096": ("cpus = 384\n\n[[levels]]", "cpus = 5000\n\n[[levels]]"),
}


@pytest.mark.parametrize("said", WRONG)
def test_a_wrong_file_is_refused_in_one_line(said, tmp_path):
    before, after = WRONG[said]
    assert before in GOOD
    path = tmp_path / "machine.toml"
    path.write_text(GOOD.replace(before, after, 1))
    done = CliRunner().invoke(main, ["scale", "--machine", str(path)])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert said.lower() in done.stderr.lower()
    assert str(path) in done.stderr


def test_a_machine_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="no machine '2005'; did you mean 200"):
        get_machine("2005")
    with pytest.raises(UsageError, match=r"cannot read nothing\.toml"):
        get_machine("nothing.toml")


@pytest.mark.skipif(not IS_X86, reason="no clock that a program can read")
def test_the_work_of_a_fault_contains_its_trap():
    each = time_work(4096, pages=64)
    assert each(round(100_000 * ticks_per_ns())) > 90_000
    assert each(0) > 0
