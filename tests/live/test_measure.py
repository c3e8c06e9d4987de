"""The whole of `pte-stress live` on this kernel, and what happens when something goes wrong."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner
from processes import lives, wait_for

import stress
from shm_layout.errors import MachineError
from stress.cli import main
from stress.commands.live import live
from stress.live import measure
from stress.live.figures import PEAKS
from stress.live.held_back import PHASES
from stress.live.load import request
from stress.live.load.crew import Crew, wait_at_rest
from stress.live.load.files import unnamed_files
from stress.live.reading import page_walk
from stress.live.reading.accounting import INTERFACES, Bound
from stress.live.reading.machine import kernel_release, kernel_version
from stress.system.cpus import allowed_cpus


@pytest.fixture(scope="module")
def outcome():
    found = measure.measure(
        processes=2, threads=2, rounds=6, seconds=None, seed=1, budget=measure.least_memory(2, 2), folder=None
    )
    assert found is not None
    return found


def test_no_error_is_beyond_its_bound(outcome):
    assert outcome.ok
    assert outcome.rounds == 6
    for name, errors in outcome.counters.items():
        assert len(errors.errors) == (0 if name in PEAKS else 6 * 2)
        assert len(errors.held_back) == 2 * len(PHASES[outcome.said.ways["stat"].counting])
        assert errors.seen <= errors.bound.pages
    assert outcome.hops > 100
    assert outcome.forks > 0
    assert outcome.busy_reads > 10


def test_an_error_of_a_counter_is_provoked(outcome):
    if kernel_version(kernel_release()) < (6, 2, 0) or len(allowed_cpus()) < 2:
        pytest.skip("needs Linux 6.2 and two CPUs to hop between")
    assert max(errors.worst for errors in outcome.counters.values()) > 0


def test_the_walks_agree_and_reading_touches_nothing(outcome):
    assert outcome.walks.startswith("smaps")
    assert outcome.walks_differ == []
    assert outcome.counters["smaps_rollup", "Rss"].worst == 0
    # Nothing of a worker runs at rest, and the reader is another process.
    assert outcome.moved <= 2


def test_json_of_live_has_its_keys(run_live):
    status, out, err = run_live("--rounds", 2, "--seed", 5, "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert set(found) >= {"kernel", "cpus", "page_size", "accounting", "rounds", "interfaces", "ok"}
    assert [interface["name"] for interface in found["interfaces"]] == list(INTERFACES)
    assert found["ok"] is True
    assert (found["rounds"], found["seed"]) == (2, 5)
    for interface in found["interfaces"]:
        assert interface["worst_error_pages"] <= interface["bound_pages"]
        assert interface["median_error_pages"] <= interface["worst_error_pages"]
        assert interface["read_us"] > 0


def test_text_shows_the_computation(run_live):
    status, out, err = run_live("--rounds", 1, "--format", "github")
    assert (status, err) == (0, "")
    assert "Verdict: within the bound" in out
    assert "| stat " in out
    for words in ("RssShmem", "counts by version", "as seen", "Page walks compared", "seed"):
        assert words in out


def test_an_error_beyond_the_bound_fails(monkeypatch):
    """With bounds of a kernel that is exact, what this one is off by must be called wrong."""
    if kernel_version(kernel_release()) < (6, 2, 0) or len(allowed_cpus()) < 2:
        pytest.skip("needs Linux 6.2 and two CPUs to hop between")
    monkeypatch.setattr(measure.Explanation, "bound", lambda self, figure: Bound(0, "exact"))
    done = CliRunner().invoke(live, ["--rounds", "6", "--seed", "1"])
    assert done.exit_code == 1
    assert "NOT within the bound" in done.stdout


def test_walks_that_differ_fail(monkeypatch):
    monkeypatch.setattr(measure.pagemap, "count_pages", lambda pid, ranges: (1, 1))
    done = CliRunner().invoke(live, ["--rounds", "1", "--json"])
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert found["ok"] is False
    assert "pagemap 1 and 1" in found["walks_differ"][0]


def test_pagemap_not_permitted_is_said(monkeypatch):
    def forbid(pid, ranges):
        raise measure.pagemap.Forbidden("not here")

    monkeypatch.setattr(measure.pagemap, "count_pages", forbid)
    done = CliRunner().invoke(live, ["--rounds", "1"])
    assert done.exit_code == 0
    assert "pagemap not compared: not here" in done.stdout


def test_too_much_memory_is_refused(refused):
    refused(2, "is more than a quarter of the", "--memory", 1 << 40)
    refused(2, "is too little: at least", "--memory", 1)
    refused(3, "ask for fewer processes and threads", "--processes", 10**7)


def test_too_few_files(refused):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))

    refused(3, "no pipes for so many workers", "--processes", 4, "--threads", 4, preexec_fn=limit)


def families(pid):
    """The process's descendants."""
    return psutil.Process(pid).children(recursive=True)


@pytest.mark.parametrize(
    "args",
    [("--rounds", 100000), ("--table", "--kind", "cow", "--mode", "processes", "--workers", 2, "--repeat", 100000)],
)
def test_children_end_when_the_parent_is_killed(start_live, args):
    process = start_live(*args)
    # The table's workers have children of their own, which share the pages to copy.
    wait_for(lambda: len(families(process.pid)) >= (4 if "--table" in args else 3))
    children = families(process.pid)
    process.kill()
    process.wait()
    wait_for(lambda: not any(lives(child.pid) for child in children))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_it_ends_its_processes(start_live, number):
    process = start_live("--rounds", 100000, "--json")
    wait_for(lambda: len(families(process.pid)) >= 3)
    children = families(process.pid)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "\npte-stress: interrupted\n")
    wait_for(lambda: not any(lives(child.pid) for child in children))


@pytest.mark.parametrize("round_", [1, 3])
def test_interrupted_it_prints_the_rounds_so_far(monkeypatch, round_):
    def interrupted(processes):
        rounds.append(1)
        if len(rounds) == round_:
            raise KeyboardInterrupt
        wait_at_rest(processes)

    rounds = []
    monkeypatch.setattr(measure, "wait_at_rest", interrupted)
    done = CliRunner().invoke(main, ["live", "--processes", "1", "--threads", "1", "--json"])
    assert (done.exit_code, done.stderr) == (130, "\npte-stress: interrupted\n")
    assert (json.loads(done.stdout)["rounds"] if done.stdout else 0) == round_ - 1


def test_seconds_end_a_measurement(run_live):
    status, out, _ = run_live("--rounds", 100000, "--seconds", 0.5, "--json")
    assert status == 0
    assert 0 < json.loads(out)["rounds"] < 1000


def test_a_worker_that_is_killed_is_told():
    with Crew(2, 1) as crew:
        os.kill(crew.processes[1].pid, signal.SIGKILL)
        with pytest.raises(MachineError, match=f"worker process {crew.processes[1].pid} was killed by SIGKILL"):
            crew.ask_all(request.PIN, -1)


def test_a_worker_that_is_stopped_does_not_rest(monkeypatch):
    monkeypatch.setattr("stress.live.load.crew.REST_SECONDS", 0.2)
    with Crew(1, 1) as crew:
        wait_at_rest(crew.processes)
        os.kill(crew.processes[0].pid, signal.SIGSTOP)
        with pytest.raises(MachineError, match="does not come to rest"):
            wait_at_rest(crew.processes)
        os.kill(crew.processes[0].pid, signal.SIGCONT)


def test_a_failed_request_is_told():
    with Crew(1, 1, slots=1) as crew:
        channel = crew.threads[0][0]
        with pytest.raises(MachineError, match="ran out of memory"):
            channel.ask(request.MAP, 0, request.ANON, 1 << 50, 0)
        with pytest.raises(MachineError, match="Bad file descriptor"):
            channel.ask(request.MAP, 0, request.FILE, 1 << 12, 0)


def test_at_rest_nothing_moves():
    """Threads that churned are asleep after the barrier: no context switch, no page, for as long as we look."""
    size = 64 * os.sysconf("SC_PAGE_SIZE")
    with (
        unnamed_files(size, None) as (file, tmpfs),
        Crew(1, 3, slots=4, slot_bytes=size, file=file, tmpfs=tmpfs) as crew,
    ):
        crew.ask_all(request.CHURN, 99, 300)
        wait_at_rest(crew.processes)
        (process,) = crew.processes
        before = process.tasks(), page_walk.smaps(process)
        time.sleep(0.2)
        assert (process.tasks(), page_walk.smaps(process)) == before


def test_importing_the_command_needs_no_numba():
    code = (
        "import sys, stress.commands.live; "
        "assert not {'numba', 'numpy', 'psutil', 'rich'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def crew_of(tmp_path):
    """Start a crew of a copy of the package, whose server is this code: what it says, and where the server lies."""

    def start(server_code, before=""):
        shutil.copytree(Path(stress.__file__).parent, tmp_path / "stress", ignore=shutil.ignore_patterns("__pycache__"))
        server = tmp_path / "stress" / "live" / "load" / "server.py"
        server.write_text(server_code)
        code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from stress.live.load import crew; {before}"
        done = subprocess.run(
            [sys.executable, "-c", f"{code}\ncrew.Crew(1, 1)"], capture_output=True, text=True, check=False, timeout=60
        )
        return done.stderr, server

    return start


def test_the_workers_run_the_code_of_the_crew(crew_of):
    """A copy of the package, not the one that is installed, starts its own server."""
    said, server = crew_of("raise SystemExit(__file__)")
    assert said.endswith(f"MachineError: the worker processes did not start: {server}\n")


def test_a_server_that_does_nothing_is_given_up(crew_of):
    said, _ = crew_of("import time; time.sleep(600)", before="crew.IDLE_SECONDS = 1.5")
    assert "MachineError: the worker processes do not start: their server, pid" in said
    assert "has done nothing for 2 s; is it stopped or traced?" in said


def test_a_server_that_compiles_is_waited_for(crew_of):
    busy = "from time import process_time\nwhile process_time() < 3.2: pass\nraise SystemExit('compiled')"
    said, _ = crew_of(busy, before="crew.IDLE_SECONDS = 2.2")
    assert said.endswith("MachineError: the worker processes did not start: compiled\n")
