"""Steps and checks that never end: each is ended from outside and named, wherever it is called."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from click.testing import CliRunner
from hypothesis import strategies as st
from hypothesis.database import InMemoryExampleDatabase

from shm_layout.registers import R_EXTRA
from shm_layout.structs import NR_PAGES
from stress import designs
from stress.cli import main
from stress.explore import Workload, search
from stress.explore.counterexample.text import counterexample, summary
from stress.explore.counterexample.trace import trace
from stress.explore.hunt import hunt
from stress.explore.model.model import SetupError, build
from stress.explore.result import NEVER_ENDS
from stress.kernel.rmap import page_add_anon_rmap
from stress.program import Program
from stress.sequential import PlainMachine
from stress.step import NEXT, step
from stress.system import never_ends
from stress.system.never_ends import NeverEnds, bounded, watched

TEXT = "fault 0 w | zap 0"
WORKLOAD = Workload.parse(TEXT)
FILE = """\
from dataclasses import replace

from shm_layout.structs import NR_PAGES
from stress.designs import get
from stress.kernel.rmap import page_add_anon_rmap
from stress.step import NEXT, step


@step
def odd(m, r):
    while m[NR_PAGES] > 0:
        r[34] = (r[34] * 3 + 1) % 1000
    return NEXT


def c(m):
    i = 0
    while m[NR_PAGES] > 0:
        i = (i * 3 + m[NR_PAGES]) % 1000
    return -1


STEP = get("v12_sound").edit("odd", "x", name="steploop", fault=lambda p: p.before(page_add_anon_rmap, odd))
CHECK = replace(get("v12_sound"), name="chkloop", checks=(c,))
"""


@step
def turns_round(m, r):
    while m[NR_PAGES] > 0:
        r[R_EXTRA] = (r[R_EXTRA] * 3 + 1) % 1000
    return NEXT


@step
def ends(m, r):
    r[R_EXTRA] = m[NR_PAGES]
    return NEXT


def turns_round_at_rest(m):
    i = 0
    while m[NR_PAGES] > 0:
        i = (i * 3 + m[NR_PAGES]) % 1000
    return -1


SOUND = designs.get("v12_sound")
STEP = SOUND.edit(name="turning", fault=lambda p: p.before(page_add_anon_rmap, turns_round))
CHECK = replace(SOUND, name="turning_check", checks=(turns_round_at_rest,))
READ = SOUND.edit(name="turning_read", statm=lambda p: Program(turns_round, *p))


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(never_ends, "LIMIT", 0.3)


@pytest.mark.parametrize("strategy", ["breadth-first", "random", "pct", "preemption"])
@pytest.mark.parametrize("design", [STEP, CHECK, READ], ids=["step", "check", "read at rest"])
def test_what_never_ends_is_named_by_every_strategy(design, strategy):
    result, model = search(design, WORKLOAD, strategy=strategy)
    assert (result.bound, result.complete) == (NEVER_ENDS, False)
    (violation,) = result.violations
    assert violation.check == "progress"
    assert violation.at_rest == (design is not STEP)
    found = trace(model, violation)
    assert found.wrong == {
        "turning": "step turns_round does not end",
        "turning_check": "at rest: turns_round_at_rest does not end",
        "turning_read": "at rest: turns_round does not end",
    }[design.name]
    if design is STEP:
        assert found.rows[-1].step == "turns_round"
        assert found.rows[-1].details == ("does not end",)
        assert violation.schedule[-1] == 0
    assert found.wrong in counterexample(model, found, "simple")
    assert "not complete: a step or check does not end" in summary(result, "simple")


def test_a_step_of_ones_own_that_ends_is_explored():
    design = SOUND.edit(name="ending", fault=lambda p: p.before(page_add_anon_rmap, ends))
    workload = Workload.parse("fault 0 w; zap 0 | fault 0 w; swap_out | fault 0")
    result, _ = search(design, workload)
    plain, _ = search(SOUND, workload)
    assert result.complete
    assert not result.violations
    assert result.outcomes >= plain.outcomes


def test_a_step_of_the_setup_that_never_ends_is_named():
    with pytest.raises(SetupError, match="'fault 0 w' of the setup does not end: step turns_round"):
        build(STEP, Workload.parse("fault 0 w || zap 0"))


def test_an_operation_in_plain_python_that_never_ends_is_named():
    machine = PlainMachine(STEP, WORKLOAD.machine)
    with pytest.raises(NeverEnds, match="turns_round does not end"):
        machine.perform("fault", address=0, write=True)
    assert PlainMachine(SOUND, WORKLOAD.machine).perform("fault", address=0, write=True)


def test_hunt_reports_a_step_that_never_ends():
    hunted = hunt.Hunt(
        STEP,
        st.sampled_from([WORKLOAD, Workload.parse("fault 0 w; zap 0 | zap 0"), Workload.parse("zap 0 || fault 0 w")]),
        seconds=60,
        seed_=1,
        first=True,
        database=InMemoryExampleDatabase(),
    )
    hunted.run()
    (find,) = hunted.finds.values()
    assert find.signature == ("progress", ("fault",))
    assert str(find.workload) == "fault 0 w"


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.mark.parametrize("name", ["STEP", "CHECK"])
def test_the_command_prints_saves_and_replays_it(tmp_path, name):
    (tmp_path / "mine.py").write_text(FILE)
    saved = tmp_path / "found.json"
    done = run("explore", f"{tmp_path}/mine.py:{name}", TEXT, "--json", "--save", saved)
    assert done.exit_code == 1, done.output
    (violation,) = json.loads(done.stdout)["violations"]
    assert violation["check"] == "progress"
    assert len(violation["steps"]) == violation["length"]
    again = run("replay", saved, "--allow-code")
    assert again.exit_code == 1
    assert f"{'odd' if name == 'STEP' else 'c'} does not end" in again.stdout


def test_the_command_ends_by_itself_and_when_it_is_told_to(tmp_path):
    (tmp_path / "mine.py").write_text(FILE)
    command = [sys.executable, "-m", "stress", "explore", f"{tmp_path}/mine.py:STEP", TEXT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        out, err = process.communicate(timeout=200)
    assert (process.returncode, err) == (1, "")
    assert "step odd does not end" in out
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(3)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=200)
    assert process.returncode in (1, 130)  # by what was first


def burns(seconds):
    begin = time.thread_time()
    while time.thread_time() - begin < seconds:
        pass


def calls_often(seconds):
    begin = time.thread_time()
    while time.thread_time() - begin < seconds:
        burns(0.01)


def test_many_calls_that_end_are_not_one_that_never_does():
    with bounded([burns]):
        calls_often(1)
    with pytest.raises(NeverEnds, match="burns does not end"), bounded([burns]):
        burns(10)


def test_a_call_that_gets_no_cpu_is_waited_for():
    with bounded([time_passes]):
        time_passes()


def one_within_another():
    with bounded([burns]):
        burns(0.01)
    calls_often(10)


def time_passes():
    time.sleep(1)


def test_bounds_within_bounds():
    with pytest.raises(NeverEnds, match="calls_often does not end"), bounded([calls_often]):
        one_within_another()
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


def test_work_of_another_thread_raises_here():
    def work(go_on):
        assert threading.current_thread() is not threading.main_thread()
        raise ValueError("of the work")

    with pytest.raises(ValueError, match="of the work"):
        watched(work, dict, str)


def test_work_is_told_when_the_user_wants_the_end():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    told = []

    def work(go_on):
        os.kill(os.getpid(), signal.SIGINT)
        try:
            while True:
                go_on()
                time.sleep(0.01)
        except KeyboardInterrupt:
            told.append(True)
            raise

    with pytest.raises(KeyboardInterrupt):
        watched(work, dict, str)
    assert told
    signal.signal(signal.SIGINT, before)


def test_a_call_that_never_ends_takes_no_cpu_afterwards():
    assert search(STEP, WORKLOAD)[0].bound == NEVER_ENDS
    begin = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - begin < 0.3
