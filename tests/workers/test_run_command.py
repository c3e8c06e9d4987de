"""`pte-stress run` as a user meets it: processes, exit statuses, one line for each error, nothing left behind."""

import json
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner
from in_shm import made_by
from processes import ended, wait_for, without_compiling

from shm_layout.errors import UsageError
from shm_layout.segment import MAGIC, VERSION, Segment
from stress.cli import main
from stress.run_failure import FORMAT
from stress.workers.pool import Pool

RUN = [sys.executable, "-m", "stress", "run"]
QUICK = ["--mix", "fault=6,zap=1,statm=1", "--pages", "64"]
"""What compiles soon."""

NEVER_ENDS = """\
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


def run(*args):
    return subprocess.run([*RUN, *args], capture_output=True, text=True, check=False, timeout=170)


@pytest.fixture
def running():
    """Starts runs that go on until they are told to end; yields (process, pids of its workers)."""
    started = []

    def start(workers, *args):
        process = subprocess.Popen(
            [*RUN, "--workers", str(workers), "--seconds", "600", *QUICK, *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        started.append(process)
        launcher = psutil.Process(process.pid)
        while process.poll() is None:
            workers_now = [p.pid for server in launcher.children() for p in server.children()]
            if len(workers_now) == workers:
                return process, workers_now
            time.sleep(0.01)
        raise AssertionError(process.communicate())

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_json_is_one_object_of_the_promised_form():
    done = run(*QUICK, "--json", "--operations", "20000", "--seconds", "60", "--workers", "3", "--seed", "9", "--mmu")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == {
        "design", "arch", "workers", "seconds", "seed", "ops", "ops_per_second", "rss", "anon_rss", "checks", "ok",
        "about",
    }  # fmt: skip
    assert (found["design"], found["arch"], found["workers"], found["seed"]) == ("v12_sound", "64", 3, 9)
    assert sum(found["ops"].values()) == 20_000
    assert found["rss"]["read"] == found["rss"]["true"]
    assert found["anon_rss"]["read"] == found["anon_rss"]["true"] <= 64 + 16
    assert found["ok"]
    assert all(set(check) == {"name", "ok", "detail"} and check["ok"] for check in found["checks"])
    assert "mmu_cache" in {check["name"] for check in found["checks"]}
    assert without_compiling(done.stderr) == ""


def test_tables_say_what_was_run_and_what_holds():
    done = run(*QUICK, "--operations", "5000", "--seed", "9", "--format", "github", "--placement", "padded")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "design v12_sound, arch 64, placement padded, 2 workers, 64 pages, 32 of a file, seed 9\n"
    )
    for name in ("fault", "zap", "statm", "all", "rss_exact", "read_regular", "progress"):
        assert f"| {name}" in done.stdout
    assert "BROKEN" not in done.stdout
    assert without_compiling(done.stderr) == ""


def test_a_broken_design_of_the_users_own_fails_and_is_saved(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from shm_layout.registers import R_OOPS\n"
        "from stress.designs.v12_sound import DESIGN\n"
        "from stress.kernel.memory import user_access\n"
        "from stress.kernel.bug import OWNER\n"
        "from stress.step import NEXT, step\n"
        "@step\n"
        "def sees_something_wrong(m, r):\n"
        "    r[R_OOPS] = OWNER\n"
        "    return NEXT\n"
        "MINE = DESIGN.edit(name='mine', fault=lambda p: p.after(user_access, sees_something_wrong))\n"
    )
    failure = tmp_path / "failure.json"
    done = run(
        "--design", f"{mine}:MINE", *QUICK, "--operations", "5000", "--seed", "4", "--save", str(failure), "--json"
    )
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert not found["ok"]
    assert [check["name"] for check in found["checks"] if not check["ok"]] == ["owner"]
    saved = json.loads(failure.read_text())
    assert saved["format"] == FORMAT
    assert (saved["design"], saved["arch"], saved["seed"]) == (f"{mine}:MINE", "64", 4)
    again = run(*saved["command"][2:], "--json")
    assert (again.returncode, again.stderr) == (1, "")
    assert json.loads(again.stdout)["ops"] == found["ops"]
    assert saved["mix"] == {"fault": 6, "zap": 1, "statm": 1}
    assert [check["name"] for check in saved["checks"]] == ["owner"]
    assert any(call["operation"] == "fault" for call in saved["under_way"])


@pytest.mark.parametrize(
    ("args", "status", "says"),
    [
        (["--design", "v12_sond"], 2, "did you mean v12_sound?"),
        (["--design", "/nowhere/mine.py:MINE"], 2, "no design file"),
        (["--workers", "0"], 2, "--workers"),
        (["--mix", "fault=0,zap=0"], 2, "every weight is 0"),
        (["--mix", "falt=1"], 2, "did you mean fault?"),
        (["--seconds", "0"], 2, "--seconds 0"),
        (["--seconds", "nan"], 2, "--seconds nan"),
        (["--operations", "0"], 2, "--operations"),
        (["--pages", "0"], 2, "--pages"),
        (["--pages", "100000000000"], 3, "use fewer pages"),
        (["--pages", "1" + "0" * 30], 3, "use fewer pages"),
        (["--arch", "32"], 2, "--arch"),
        (["--placement", "paded"], 2, "did you mean padded?"),
        (["--format", "tables"], 2, "no table format"),
        (["--save", "/nowhere/failure.json"], 2, "name a file, in a folder that is there"),
        (["--save", "/dev"], 2, "is a directory"),
        (["--save", ""], 2, "name a file"),
        (["--save", "/proc/failure.json"], 2, "cannot write in /proc"),  # not even root can make files in /proc
        (["--operations", "9" * 30], 2, "is not in the range"),
    ],
)
def test_bad_input_is_one_line(args, status, says):
    done = run(*args)
    assert done.returncode == status
    assert says in done.stderr
    assert without_compiling(done.stderr).count("\n") == 1
    assert done.stdout == ""


def test_a_worker_killed_at_any_moment_is_named(running):
    for _ in range(5):
        process, workers = running(3)
        time.sleep(random.random() * 0.5)
        victim = random.choice(workers)
        os.kill(victim, signal.SIGKILL)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 3
        assert f"(pid {victim}) was killed by SIGKILL" in err
        assert " in fault " in err or " in zap " in err or " in statm, " in err or " between two operations" in err
        assert without_compiling(err).count("\n") == 1
        assert made_by(process.pid) == []
        assert ended(workers)


def timeout_does(pid, number):
    """As timeout(1): to the process, and then to all of its group."""
    os.kill(pid, number)
    os.killpg(pid, number)


@pytest.mark.parametrize("send", [os.kill, os.killpg, timeout_does], ids=["process", "group", "both"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_was_measured_is_printed_when_interrupted(running, number, send):
    process, workers = running(2)
    while any(psutil.Process(pid).cpu_times().user < 0.1 for pid in workers):  # until they are at work
        time.sleep(0.05)
    send(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "read_regular" in out
    assert without_compiling(err) == "\npte-stress: interrupted\n"
    assert made_by(process.pid) == []
    assert ended(workers)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_workers_gather_is_not_swallowed(monkeypatch, number):
    """One of them does not come, and whoever waits for it without end must hear the first signal."""

    def start(pool, *args, **options):
        os.kill(pool.pids[0], signal.SIGSTOP)
        threading.Timer(0.5, os.kill, (os.getpid(), number)).start()
        original(pool, *args, **options)

    original, before = Pool.start, made_by(os.getpid())  # of pools that other tests keep
    monkeypatch.setattr(Pool, "start", start)
    done = CliRunner().invoke(main, ["run", *QUICK, "--seconds", "1"])
    assert (done.exit_code, without_compiling(done.stderr)) == (130, "\npte-stress: interrupted\n")
    assert made_by(os.getpid()) == before


def test_a_worker_that_gets_no_cpu_does_not_keep_an_interrupted_run(running):
    process, workers = running(2)
    while any(psutil.Process(pid).cpu_times().user < 0.1 for pid in workers):  # until they are at work
        time.sleep(0.05)
    os.kill(workers[0], signal.SIGSTOP)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=40)
    assert (process.returncode, without_compiling(err)) == (130, "\npte-stress: interrupted\n")
    assert "BROKEN" not in out
    assert made_by(process.pid) == []
    assert ended(workers)


@pytest.mark.parametrize("what", ["STEP", "CHECK"])
def test_what_never_ends_is_named_and_ends_the_run(tmp_path, what):
    (tmp_path / "mine.py").write_text(NEVER_ENDS)
    done = run("--design", f"{tmp_path}/mine.py:{what}", *QUICK, "--seconds", "1", "--json")
    assert done.returncode == 1, done.stderr
    found = {check["name"]: check["detail"] for check in json.loads(done.stdout)["checks"] if not check["ok"]}
    assert list(found) == ["progress"]
    assert ("in step odd, which does not end" if what == "STEP" else "check c does not end") in found["progress"]


@pytest.mark.usefixtures("cleaning_alone")
def test_workers_end_with_a_launcher_that_is_killed(running):
    process, workers = running(2)
    processes = [psutil.Process(pid) for pid in workers]
    process.kill()
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive
    process.wait()
    assert len(made_by(process.pid)) == 1  # the segment; semaphores have no name once all have opened them
    subprocess.run([sys.executable, "-m", "stress", "clean"], check=True, capture_output=True)
    assert made_by(process.pid) == []


@pytest.mark.usefixtures("cleaning_alone")
def test_the_fork_server_ends_with_a_launcher_that_is_killed_while_it_compiles(tmp_path):
    """It hears nothing else until it has compiled, which takes longer than this test waits."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    with subprocess.Popen([*RUN, "--seconds", "600"], env=environment, stdout=subprocess.DEVNULL) as process:
        launcher = psutil.Process(process.pid)
        wait_for(lambda: any(child.cpu_times().user > 2 for child in launcher.children()))  # some of ten and more
        servers = launcher.children()
        process.kill()
    assert len(servers) == 1
    assert ended([server.pid for server in servers], seconds=5)
    subprocess.run([sys.executable, "-m", "stress", "clean"], check=True, capture_output=True)
    assert made_by(process.pid) == []


@pytest.mark.parametrize("name", ["numpy", "random", "stress"])
def test_what_lies_in_the_current_folder_is_no_module_of_ours(tmp_path, name):
    (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')\n")
    command = [sys.executable, "-P", *RUN[1:], *QUICK, "--workers", "1", "--operations", "100"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=170
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_one_of_two_runs_is_interrupted_and_the_other_goes_on(running):
    first, _ = running(2)
    done = run(*QUICK, "--operations", "5000")
    assert done.returncode == 0, done.stderr
    first.send_signal(signal.SIGINT)
    out, _ = first.communicate(timeout=60)
    assert "BROKEN" not in out


AMONG_OTHERS = """
import os, sys
from pathlib import Path
from shm_layout.creator import new_names
for name, content in zip(new_names("run"), {contents!r}):
    Path("/dev/shm" + name).write_bytes(content)
os.execv(sys.executable, {command!r})
"""


@pytest.mark.usefixtures("cleaning_alone")
def test_files_of_another_version_do_not_disturb_a_run():
    """They lie under names that the run could take: exec keeps pid and start time."""
    other_version = struct.pack("=qqqqqq", MAGIC, VERSION + 1, 0, 512, 1, 1).ljust(4096, b"\0")
    other_layout = struct.pack("=qqqqqq", MAGIC, VERSION, 5, 512, 1, 1).ljust(4096, b"\0")
    contents = [b"", b"\xff" * 4096, other_version, other_layout]
    command = [*RUN, *QUICK, "--operations", "5000", "--seed", "1"]
    script = AMONG_OTHERS.format(contents=contents, command=command)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        out, _ = process.communicate(timeout=170)
    assert process.returncode == 0, out
    assert "BROKEN" not in out
    left = {(Path("/dev/shm") / name).read_bytes(): name for name in made_by(process.pid)}
    assert left.keys() == set(contents)
    refused = ["too short", "magic word", f"version {VERSION + 1}, not {VERSION}", "another layout"]
    for content, why in zip(contents, refused, strict=True):
        with pytest.raises(UsageError, match=why):
            Segment.attach("/" + left[content], 6)
    command = [sys.executable, "-m", "stress", "clean", "--json"]
    cleaned = subprocess.run(command, capture_output=True, text=True, check=True)
    said = {leftover["name"]: leftover["what"] for leftover in json.loads(cleaned.stdout)["removed"]}
    what = ["no segment", "no segment", f"segment of version {VERSION + 1}", "segment"]
    assert [said[left[content]] for content in contents] == what
    assert made_by(process.pid) == []


def test_a_segment_that_another_version_spoils_is_named(make_pool, monkeypatch):
    """The fork server refuses what it finds under the segment's name; nothing is left behind."""
    before = made_by(os.getpid())
    create = Segment.create

    def spoiled(*args):
        segment = create(*args)
        segment.array[1] = VERSION + 1
        return segment

    monkeypatch.setattr(Segment, "create", spoiled)
    with pytest.raises(UsageError, match=rf"is no segment of this pte-stress: it has version {VERSION + 1}, not"):
        make_pool("v12_sound", 1)
    assert made_by(os.getpid()) == before
    monkeypatch.undo()
    pool = make_pool("v12_sound", 1)  # of the same server, which goes on
    assert pool.truth(0).resident == 0
