"""Designs on words alone: no mm, no pages, no statm; explored, hunted, and run by workers like any other."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files

import pytest
from click.testing import CliRunner
from hypothesis import given, settings

from shm_layout import structs
from shm_layout.atomic import load, store
from shm_layout.errors import UsageError
from shm_layout.layout import Layout
from shm_layout.machine import Machine
from shm_layout.registers import R_ADDRESS, R_CPU
from shm_layout.structs import at, variable
from stress.cli import main
from stress.commands.explore import explore as explore_command_line
from stress.commands.pictures import explore_command
from stress.design import Design
from stress.explore import explore, search
from stress.explore.final_states import final_values
from stress.explore.hunt.workloads import kinds_of, workloads
from stress.explore.strategies.first_look import first_look
from stress.machine_kind import PAGE_TABLES, WORDS, words
from stress.operation import PAGE, Kind, declare
from stress.program import Program
from stress.resolve import resolve_design
from stress.step import NEXT, step
from stress.workload import Workload

PROTOCOLS = files("stress.examples") / "protocols"
PETERSON, UNFENCED = (resolve_design(f"{PROTOCOLS}/peterson.py:{name}") for name in ("PETERSON", "UNFENCED"))
TREIBER, UNTAGGED = (resolve_design(f"{PROTOCOLS}/treiber.py:{name}") for name in ("TREIBER", "UNTAGGED"))
COMMAND = re.compile(r"^    \$ pte-stress explore (\S+) \"(.*)\"(?: --memory (\w+))?\n((?:^    (?!\$).*\n)*)", re.M)

SEATS = variable("test_seats", "who sits where", count=3, initial=(7, 8, 9))
TOTAL = variable("test_total", "a sum that is written whole", initial=40)


@step
def sit(m, r):
    """seats[number] = me"""
    store(m, at(m, SEATS, r[R_ADDRESS]), r[R_CPU])
    return NEXT


@step
def add(m, r):
    """total += 2, which no lock keeps together; a step of two accesses is refused where that shows."""
    total = at(m, TOTAL, 0)
    store(m, total, load(m, total) + 2)
    return NEXT


declare(Kind("test_sit", "take the seat of a number", frozenset((PAGE,)), needs_page=True))
HALL = Design("hall", 2026, "", "seats and a sum", {"test_sit": Program(sit), "test_add": Program(add)}, machine=WORDS)


def broken(design, text, memory="sc"):
    result = explore(design, Workload.parse(text), memory=memory)
    assert result.complete
    return {violation.check for violation in result.violations}


@pytest.mark.parametrize("memory", ["sc", "tso", "pso"])
def test_petersons_lock_needs_its_barrier_where_stores_wait(memory):
    assert broken(PETERSON, "enter; enter | enter; enter", memory) == set()
    assert broken(UNFENCED, "enter | enter", memory) == (set() if memory == "sc" else {"user"})


def test_a_stack_without_a_tag_breaks_when_a_node_comes_back():
    for text, breaks in (("pop; pop | pop; pop; push", True), ("pop; pop | pop; pop", False)):
        assert broken(UNTAGGED, text) == ({"user"} if breaks else set())
        assert broken(TREIBER, text) == set()


@pytest.mark.parametrize(
    ("name", "commands"),
    [
        ("protocols/peterson.py", 2),
        ("protocols/treiber.py", 2),
        ("families/lastzero.py", 1),
        ("families/readers.py", 1),
    ],
)
def test_an_example_does_what_its_docstring_says(name, commands):
    file = PROTOCOLS.parent / name
    found = COMMAND.findall(file.read_text())
    assert len(found) == commands
    for reference, text, memory, shown in found:
        result = explore(resolve_design(f"{file.parent}/{reference}"), Workload.parse(text), memory=memory or "sc")
        lengths = [int(length) for length in re.findall(r"broken in (\d+) steps", shown)]
        assert [violation.length for violation in result.violations] == lengths
        assert result.complete


def test_words_begin_with_what_was_declared():
    layout = Layout(WORDS.of(Machine(cpus=2, mms=1, anon=1, frames=4)))
    assert (layout.machine.mms, layout.machine.frames, layout.machine.tasks) == (0, 0, 0)
    memory = [0] * layout.words
    layout.write_initial(memory)
    seats = layout.regions["test_seats"]
    assert [memory[seats.index(n, "value")] for n in range(3)] == [7, 8, 9]
    assert layout.describe(seats.index(1, "value")) == "test_seats[1]"
    assert layout.describe(layout.regions["test_total"].index(0, "value")) == "test_total"


def test_final_states_are_those_of_the_words():
    result, model = search(HALL, Workload.parse("test_sit 1 | test_sit 1; test_sit 2"), finals=True)
    assert result.complete
    assert final_values(model, result) == [{"test_seats[1]": "0"}, {"test_seats[1]": "1"}]


def test_a_step_of_two_accesses_is_refused_here_too():
    with pytest.raises(UsageError, match="add"):
        explore(HALL, Workload.parse("test_add | test_add"))
    assert broken(HALL, "test_add; test_add") == set()


@pytest.mark.parametrize("memory", ["sc", "tso", "pso"])
def test_a_word_that_is_not_there_is_refused(memory):
    """Under store buffers the access was taken back where it had not been made, and the heap was overwritten."""
    with pytest.raises(UsageError, match=r"sit .* of test_seats 3: there are 0 to 2"):
        explore(HALL, Workload.parse("test_sit 3 | test_sit 0"), memory=memory)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"doc": "another"}, "there is another 'test_total'"),
        ({"initial": 41}, "there is another 'test_total'"),
        ({"count": 0}, "has 0 words"),
        ({"count": 2000}, "has 2000 words"),
        ({"count": 3, "initial": (1, 2)}, "3 words and 2 values"),
    ],
)
def test_a_variable_that_cannot_be_is_refused(given, says):
    with pytest.raises(ValueError, match=says):
        variable("test_total", **{"doc": "a sum that is written whole", "initial": 40, **given})


def test_the_same_variable_again_is_the_same():
    assert variable("test_total", "a sum that is written whole", initial=40) == TOTAL
    made = [one for one in structs.declarations() if one[0] == structs.VARIABLE]
    structs.declare(made)
    assert [one for one in structs.declarations() if one[0] == structs.VARIABLE] == made


def test_operations_of_the_kernel_need_page_tables():
    with pytest.raises(ValueError, match="operation 'fault' is one of the machine with page tables"):
        Design("wrong", 2026, "", "", {"fault": Program(sit)}, machine=WORDS)
    assert PAGE_TABLES.of(machine := Machine(cpus=1, mms=1, anon=1, frames=3)) is machine


def test_more_cpus_than_a_design_is_for_are_refused():
    with pytest.raises(UsageError, match="for 2 CPUs at most, not 3"):
        explore(PETERSON, Workload.parse("enter | enter | enter"))
    assert words(3).of(Machine(cpus=3, mms=1, anon=1, frames=4)).cpus == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("enter 0 | enter", "'enter 0': enter takes nothing"),
        ("enter w | enter", "enter takes nothing"),
        ("1: enter mm=2 || enter | enter", "enter takes nothing"),
    ],
)
def test_an_operation_that_was_not_declared_is_given_nothing(text, says):
    with pytest.raises(UsageError, match=says):
        explore(PETERSON, Workload.parse(text))


@pytest.mark.parametrize("number", [4096, 1 << 63, 10**30])
def test_numbers_are_small(number):
    with pytest.raises(UsageError, match="at most 4,09"):
        explore(HALL, Workload.parse(f"test_sit {number}"))
    bare = {"mms": 0, "anon": 0, "frames": 0, "swap": 0, "ghost": False}
    with pytest.raises(UsageError, match="a number is at most 4,095"):
        Workload.parse(f"test_sit {number}", **bare)


def test_a_design_with_page_tables_is_refused_on_words():
    bare = Workload.parse("statm", mms=0, anon=0, frames=0, swap=0, ghost=False)
    with pytest.raises(UsageError, match="needs an mm, and the machine has none"):
        explore(resolve_design("v12_sound"), bare)


def test_more_cpus_than_a_machine_has_are_refused_on_words_too():
    with pytest.raises(ValueError, match="at most"):
        Machine(cpus=1 << 20, mms=0, anon=0)
    with pytest.raises(ValueError, match="mms must be at least 1"):
        Machine(cpus=1, mms=0, anon=-1, private_file=1)


@given(workloads(kinds_of(HALL), "64", machine=HALL.machine))
@settings(max_examples=50)
def test_what_hunt_draws_can_be_typed(workload):
    assert Workload.parse(str(workload)).of_kind(WORDS) == workload


def test_a_first_look_finds_words_that_are_too_few_for_the_workers():
    tight = replace(UNTAGGED, machine=WORDS)
    assert first_look(tight, "64", ["push"], 8) == tight
    with pytest.raises(UsageError, match="of kept 8: there are 0 to 7"):
        first_look(tight, "64", ["push"], 9)
    alone = replace(PETERSON, machine=words(1))
    assert first_look(alone, "64", ["enter"], 1) == alone


def test_hunt_draws_no_pages_and_no_third_cpu():
    more = ("--memory", "tso", "--seconds", "2", "--seed", "1", "--jobs", "1", "--json")
    done = CliRunner().invoke(main, ["hunt", f"{PROTOCOLS}/peterson.py:UNFENCED", *more])
    assert done.exit_code == 1, done.output
    (found,) = json.loads(done.stdout)["violations"]
    assert (found["check"], found["workload"], found["machine"]["mms"]) == ("user", "enter | enter", 0)


def test_the_command_on_a_page_leaves_out_what_the_machine_lacks():
    workload = Workload.parse("enter | enter").of_kind(WORDS)
    command = explore_command("peterson.py:UNFENCED", workload, "tso")
    assert command == "pte-stress explore peterson.py:UNFENCED 'enter | enter' --memory tso"
    assert explore_command_line.name == "explore"


def test_workers_run_a_design_on_words(tmp_path):
    shutil.copy(PROTOCOLS / "peterson.py", tmp_path)
    command = [sys.executable, "-m", "stress", "run", "--design", "peterson.py:PETERSON", "--operations", "3000"]
    done = subprocess.run([*command, "--json"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ops"] == {"enter": 3000}
    assert [(check["name"], check["ok"]) for check in found["checks"]] == [("progress", True)]
    assert found["rss"] == {"read": None, "true": None}
