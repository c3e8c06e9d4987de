"""Leftovers: what dead creators left is found and removed, and nothing else."""

import contextlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from shm_layout import creator
from shm_layout.leftovers import clean, find, stale
from shm_layout.segment import MAGIC, VERSION, Segment

pytestmark = pytest.mark.usefixtures("cleaning_alone")

SHM = Path("/dev/shm")

CREATOR = """
    from shm_layout.segment import Segment
    segment = Segment.create(1000, 1)
    semaphore = segment.create_semaphore("start")
    print(segment.name[1:], "sem." + semaphore.name[1:], flush=True)
    input()
"""


@contextlib.contextmanager
def running_creator(*before):
    """A process with a segment and a semaphore, and their names. ``before``: a command that starts it."""
    command = [*before, sys.executable, "-c", textwrap.dedent(CREATOR)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        yield child, child.stdout.readline().split()


def named(pid, started, end=f"{0:016x}.run"):
    """A name that process `pid` would give here, if it started at `started`."""
    me = creator.this_process()
    return f"pte-stress.{pid}.{started}.{me.pid_namespace}.{me.time_namespace}.{end}"


NOBODY = 2**22 + os.getpid()
"""Above pid_max: a pid that nobody has."""


@pytest.fixture
def file():
    """Make a file in /dev/shm that is gone after the test."""
    made = []

    def make(name, size=100):
        path = SHM / name
        path.write_bytes(b"x" * size)
        made.append(path)
        return path

    yield make
    for path in made:
        path.unlink(missing_ok=True)


def names(leftovers):
    return {leftover.name for leftover in leftovers}


def test_a_killed_creator_leaves_what_clean_removes():
    with Segment.create(100, 1) as ours, running_creator() as (child, (name, semaphore)):
        theirs = {name, semaphore}
        assert not theirs & names(stale())
        child.send_signal(signal.SIGKILL)
        child.wait()
        found = {leftover.name: leftover for leftover in stale()}
        assert theirs <= set(found)
        assert (found[name].bytes, found[name].pid, found[name].what) == (8000, child.pid, "segment")
        assert found[semaphore].what == "semaphore"
        assert found[semaphore].bytes == (SHM / semaphore).stat().st_size > 0
        assert theirs <= names(clean())
        assert not theirs & set(os.listdir(SHM))
        assert ours.name[1:] in os.listdir(SHM)
        assert ours.name[1:] not in names(stale())


def test_our_pid_with_another_start_time_is_a_dead_creator(file):
    started = creator.start_time(os.getpid())
    dead = file(named(os.getpid(), started - 1))
    alive = file(named(os.getpid(), started))
    removed = clean()
    assert not dead.exists()
    assert alive.exists()
    assert alive.name not in names(removed)


def test_of_others_processes_nothing_is_asked(file, monkeypatch):
    """With hidepid=1 the question is an error."""
    theirs = file(named(NOBODY, 5))

    def hidden(pid, started):
        raise PermissionError(pid)

    monkeypatch.setattr("shm_layout.leftovers.alive", hidden)
    monkeypatch.setattr("shm_layout.leftovers.os.geteuid", lambda: theirs.stat().st_uid + 1)
    assert theirs.name not in names(stale())


FOREIGN = [
    "pte-stress",
    "pte-stress.x",
    "pte-stress.1.2",
    "x" + named(NOBODY, 5),
    named(NOBODY, 5) + ".a b",
    named(NOBODY, 5, "x.run"),
    named(-NOBODY, 5),
    "sem.other." + named(NOBODY, 5),
]
OURS = [named(NOBODY, 5, f"{7:016x}"), named(NOBODY, 5), f"sem.{named(NOBODY, 5)}.start.{1:016x}"]


@pytest.mark.parametrize("number", range(len(FOREIGN)))
def test_files_of_others_are_left_alone(number, file):
    path = file(FOREIGN[number])
    assert path.name not in names(stale())
    clean()
    assert path.exists()


@pytest.mark.parametrize("number", range(len(OURS)))
def test_names_of_a_pid_that_nobody_has_are_stale(number, file):
    path = file(OURS[number])
    assert path.name in names(clean())
    assert not path.exists()


def header(magic=MAGIC, version=VERSION, size=100):
    return struct.pack("=qqqqqq", magic, version, 5, size // 8, 1, 1).ljust(size, b"\0")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (header(), "segment"),
        (header(version=VERSION + 1), f"segment of version {VERSION + 1}"),
        (header(magic=7), "no segment"),
        (b"\xff" * 4096, "no segment"),
        (b"", "no segment"),
        (header()[:15], "no segment"),
    ],
)
def test_clean_says_what_it_removed(content, what, file):
    path = file(named(NOBODY, 7))
    path.write_bytes(content)
    assert [leftover.what for leftover in stale() if leftover.name == path.name] == [what]
    done = subprocess.run([sys.executable, "-m", "stress", "clean"], capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.splitlines() if path.name in line and line.endswith(what)]
    assert not path.exists()


def test_a_folder_of_such_a_name_is_nobodys():
    path = SHM / named(NOBODY, 8)
    path.mkdir()
    assert path.name not in names(clean())
    path.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_users_files_are_left_alone(file):
    path = file(named(NOBODY, 6))
    os.chown(path, 12345, 12345)
    clean()
    assert path.exists()


NAMESPACES = {
    "another PID namespace": ["unshare", "--pid", "--fork"],
    "another PID namespace, with its own /proc": ["unshare", "--pid", "--fork", "--mount-proc"],
    "another time namespace": ["unshare", "--time", "--boottime", "100000", "--fork"],
}


def namespace(which):
    """The command that makes a namespace; skips the test where this user may not."""
    command = NAMESPACES[which]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        pytest.skip(f"this machine gives this user no {which.removeprefix('another ')}")
    return command


@pytest.mark.parametrize("which", NAMESPACES)
@pytest.mark.parametrize("inside", ["creator", "clean"])
def test_living_segments_of_another_namespace_are_kept_and_listed(which, inside):
    """One of the two is in a namespace of its own; /dev/shm is the same."""
    command = namespace(which)
    with running_creator(*(command if inside == "creator" else [])) as (child, names):
        try:
            clean_command = [*(command if inside == "clean" else []), sys.executable, "-m", "stress", "clean"]
            done = subprocess.run([*clean_command, "--json"], capture_output=True, text=True, check=True)
            said = subprocess.run(clean_command, capture_output=True, text=True, check=True).stdout
            assert set(names) <= set(os.listdir(SHM))
        finally:
            child.communicate("\n")
    found = json.loads(done.stdout)
    assert not set(names) & {each["name"] for each in found["removed"]}
    why = {each["why"] for each in found["left"] if each["name"] in names}
    assert why == {"made in another PID namespace" if "PID" in which else "made in another time namespace"}
    assert all(name in said for name in names)
    assert "left alone" in said


def test_what_an_older_version_left_is_kept_and_listed(file):
    """Its name says of no namespace that pid and start time are from."""
    segment, semaphore = file(f"pte-stress.{NOBODY}.5.1.run"), file(f"sem.pte-stress.{NOBODY}.5.1.run.done")
    clean()
    assert segment.exists()
    assert semaphore.exists()
    why = {each.name: each.why for each in find().unjudged}
    assert (why[segment.name], why[semaphore.name]) == ("made by an older version",) * 2


def test_a_proc_of_another_namespace_says_nothing(monkeypatch, file):
    path = file(named(NOBODY, 5))
    monkeypatch.setattr("shm_layout.creator.os.readlink", lambda path: "1")
    clean()
    assert path.exists()
    assert "/proc" in {each.name: each.why for each in find().unjudged}[path.name]


def test_start_times_are_read_whatever_a_process_is_called():
    """A process's name does not mislead, whatever is in it, and a zombie does not live."""
    code = "import sys; open('/proc/self/comm', 'w').write('a) R 1 (b'); print(flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        started = creator.start_time(child.pid)
        assert started >= creator.start_time(os.getpid()) > 0
        assert creator.alive(child.pid, started)
        assert not creator.alive(child.pid, started + 1)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert creator.start_time(child.pid) is None
    assert creator.start_time(child.pid) is None
