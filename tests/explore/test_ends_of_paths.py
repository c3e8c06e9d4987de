"""What ends a path is reported whatever checks were asked for; operations that give checks nothing are named."""

import json

import pytest
from click.testing import CliRunner

from shm_layout.atomic import load, read_once, write_once
from shm_layout.registers import R_VALUE
from shm_layout.structs import MM_PAGE_TABLE_LOCK, zone_struct
from stress import designs
from stress.checks import HOLDS
from stress.cli import main
from stress.design import Design
from stress.explore import search
from stress.explore.hunt.hunt import Hunt
from stress.explore.hunt.workloads import workloads
from stress.kernel import proc
from stress.kernel.bug import PFN_VALID, oops
from stress.labels import AGAIN
from stress.program import At, Program
from stress.step import NEXT, WAIT, step
from stress.workload import Workload

BAD = zone_struct.word("ends_bad", "tests", "1: a check does not hold")


@step
def sees_no_frame(m, r):
    oops(r, PFN_VALID)
    return NEXT


@step
def set_bad(m, r):
    write_once(m, m[BAD], 1)
    return NEXT


@step(waits=True)
def wait_for_ever(m, r):
    return WAIT


@step(private=True)
def go_round(m, r):
    return AGAIN


@step
def go_round_in_sight(m, r):
    r[R_VALUE] = read_once(m, m[BAD])
    return AGAIN


@step
def keep_a_lock(m, r):
    write_once(m, m[MM_PAGE_TABLE_LOCK], 1)
    return NEXT


@step
def look(m, r):
    r[R_VALUE] = read_once(m, m[BAD])
    return NEXT


def nothing_bad(m):
    return HOLDS if load(m, m[BAD]) == 0 else 1


def design(name, *steps):
    return Design(name, 2026, "s", "s", {"t": Program(*steps)}, checks=(nothing_bad,))


MASKED = design("masked", sees_no_frame, set_bad)
LOCKED = design("locked", set_bad, wait_for_ever)
CIRCLE = design("circle", set_bad, At(AGAIN), go_round)
CIRCLE_IN_SIGHT = design("circle_in_sight", set_bad, At(AGAIN), go_round_in_sight)
LOCK_KEPT = design("lock_kept", set_bad, keep_a_lock)
LOOKS = design("looks", look)
SHOWS_NOTHING = designs.get("v12_sound").edit("e", "w", name="silent", statm=lambda p: p.drop(proc.show_statm_positive))

T = Workload.parse("t 0")


@pytest.mark.parametrize("strategy", ["breadth-first", "random", "pct", "preemption"])
@pytest.mark.parametrize(
    ("masked", "check"),
    [(MASKED, "pfn_valid"), (LOCKED, "progress"), (CIRCLE, "progress"), (LOCK_KEPT, "progress")],
    ids=lambda value: getattr(value, "name", value),
)
def test_what_ends_every_path_is_reported_beside_the_check_asked_for(masked, check, strategy):
    result, _ = search(masked, T, strategy=strategy, checks=["user"])
    assert [v.check for v in result.violations] == [check]


def test_a_circle_that_is_never_left_is_reported_beside_the_check_asked_for():
    result, _ = search(CIRCLE_IN_SIGHT, T, checks=["user"])
    assert [v.check for v in result.violations] == ["progress"]


def test_a_wrong_figure_ends_no_path_and_is_left_out():
    race = Workload.parse("fault 0 w | swap_out frame=1 | statm")
    v12 = designs.get("v12")
    every, _ = search(v12, race)
    assert {"read_regular", "mapcount"} <= {v.check for v in every.violations}
    one, _ = search(v12, race, checks=["mapcount"])
    assert "mapcount" in {v.check for v in one.violations}
    assert not {"read_regular", "read_pair", "owner"} & {v.check for v in one.violations}


def hunted(what, **more):
    found = Hunt(what, workloads(["t"], "64"), seconds=5, seed_=1, first=True, **more)
    found.run()
    return found


def test_a_hunt_for_one_check_finds_what_ends_the_paths():
    assert [f.signature[0] for f in hunted(MASKED, checks=["user"]).distinct()] == ["pfn_valid"]


# what gives the checks nothing

FILE = """\
from stress.designs import get
from stress.kernel import proc
from stress.design import Design
from stress.program import Program
from stress.step import NEXT, step

SILENT = get("v12_sound").edit("e", "w", name="silent", statm=lambda p: p.drop(proc.show_statm_positive))

@step
def nop(m, r):
    return NEXT

IDLE = get("v12_sound").with_programs(nop=Program(nop))
"""
STATM = "statm shows no value: nothing was compared"
NOP = "nop changes nothing: none of its steps writes to the memory"


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "silent.py"
    path.write_text(FILE)
    return path


def test_explore_says_that_a_read_showed_nothing(file):
    done = run("explore", f"{file}:SILENT", "fault 0 w | statm")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-2] == STATM
    data = json.loads(run("explore", f"{file}:SILENT", "fault 0 w | statm", "--json").stdout)
    assert data["notes"] == [STATM]


def test_explore_says_that_the_read_at_rest_showed_nothing(file):
    done = run("explore", f"{file}:SILENT", "fault 0 w")
    assert "statm at rest shows no value: nothing was compared" in done.stdout


@pytest.mark.parametrize("strategy", ["random", "pct", "preemption"])
def test_every_strategy_says_that_a_read_showed_nothing(file, strategy):
    assert STATM in run("explore", f"{file}:SILENT", "fault 0 w | statm", "--strategy", strategy).stdout


def test_explore_says_that_an_operation_changes_nothing(file):
    done = run("explore", f"{file}:IDLE", "fault 0 w | nop")
    assert done.stdout.splitlines()[-2] == NOP


def test_reads_that_show_something_are_not_named():
    done = run("explore", "v12_sound", "fault 0 w | statm | status", "--json")
    assert "notes" not in json.loads(done.stdout)


def test_hunt_says_that_a_read_showed_nothing():
    found = Hunt(SHOWS_NOTHING, workloads(["statm", "fault"], "64"), seconds=3, seed_=1)
    found.run()
    assert found.looked_at_nothing() == [STATM]
    found = Hunt(LOOKS, workloads(["t"], "64"), seconds=2, seed_=1)
    found.run()
    assert found.looked_at_nothing() == ["t changes nothing: none of its steps writes to the memory"]


def test_run_says_what_gave_the_checks_nothing(file):
    small = ("--seconds", "0.3", "--pages", "16", "--file-pages", "0", "--seed", "1", "--mix")
    done = run("run", "--design", f"{file}:SILENT", *small, "statm=1")
    assert done.stdout.splitlines()[-1] == STATM
    done = run("run", "--design", f"{file}:IDLE", *small, "statm=1,nop=1")
    assert done.stdout.splitlines()[-1] == NOP
    done = run("run", *small, "statm=1,status=1", "--json")
    assert "notes" not in json.loads(done.stdout)
