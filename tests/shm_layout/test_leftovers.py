"""Leftovers: what dead creators left is found and removed, and nothing else."""

import contextlib
import os
import signal
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from shm_layout import creator
from shm_layout.leftovers import clean, stale
from shm_layout.segment import MAGIC, VERSION, Segment

pytestmark = pytest.mark.usefixtures("cleaning_alone")

SHM = Path("/dev/shm")

CREATOR = """
    from shm_layout.segment import Segment
    segment = Segment.create(1000, 1)
    segment.create_semaphore("start")
    print(segment.name[1:], flush=True)
    input()
"""


@contextlib.contextmanager
def running_creator():
    command = [sys.executable, "-c", textwrap.dedent(CREATOR)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        yield child, child.stdout.readline().strip()


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
    with Segment.create(100, 1) as ours, running_creator() as (child, name):
        theirs = {name, f"sem.{name}.start"}
        assert not theirs & names(stale())
        child.send_signal(signal.SIGKILL)
        child.wait()
        found = {leftover.name: leftover for leftover in stale()}
        assert theirs <= set(found)
        assert (found[name].bytes, found[name].pid, found[name].what) == (8000, child.pid, "segment")
        assert found[f"sem.{name}.start"].what == "semaphore"
        assert found[f"sem.{name}.start"].bytes == (SHM / f"sem.{name}.start").stat().st_size > 0
        assert theirs <= names(clean())
        assert not theirs & set(os.listdir(SHM))
        assert ours.name[1:] in os.listdir(SHM)
        assert ours.name[1:] not in names(stale())


def test_our_pid_with_another_start_time_is_a_dead_creator(file):
    started = creator.start_time(os.getpid())
    dead = file(f"pte-stress.{os.getpid()}.{started - 1}.1.run")
    alive = file(f"pte-stress.{os.getpid()}.{started}.999999.run")
    removed = clean()
    assert not dead.exists()
    assert alive.exists()
    assert alive.name not in names(removed)


def test_of_others_processes_nothing_is_asked(file, monkeypatch):
    """With hidepid=1 the question is an error."""
    theirs = file(f"pte-stress.{2**22 + os.getpid()}.5.1.run")

    def hidden(pid, started):
        raise PermissionError(pid)

    monkeypatch.setattr("shm_layout.leftovers.alive", hidden)
    monkeypatch.setattr("shm_layout.leftovers.os.geteuid", lambda: theirs.stat().st_uid + 1)
    assert theirs.name not in names(stale())


FOREIGN = [
    "pte-stress",
    "pte-stress.x",
    "pte-stress.1.2",
    "pte-stress.{}.5",
    "xpte-stress.{}.5.1.run",
    "pte-stress.{}.5.1.a b",
    "pte-stress.{}.5.x.run",
    "pte-stress.-{}.5.1.run",
    "sem.other.{}.5.1",
]
OURS = ["pte-stress.{}.5.1", "pte-stress.{}.5.1.run", "sem.pte-stress.{}.5.1.run.start"]


@pytest.mark.parametrize("pattern", FOREIGN)
def test_files_of_others_are_left_alone(pattern, file):
    path = file(pattern.format(2**22 + os.getpid()))  # above pid_max: a pid that nobody has
    assert path.name not in names(stale())
    clean()
    assert path.exists()


@pytest.mark.parametrize("pattern", OURS)
def test_names_of_a_pid_that_nobody_has_are_stale(pattern, file):
    path = file(pattern.format(2**22 + os.getpid()))
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
    path = file(f"pte-stress.{2**22 + os.getpid()}.7.1.run")
    path.write_bytes(content)
    assert [leftover.what for leftover in stale() if leftover.name == path.name] == [what]
    done = subprocess.run([sys.executable, "-m", "stress", "clean"], capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.splitlines() if path.name in line and line.endswith(what)]
    assert not path.exists()


def test_a_folder_of_such_a_name_is_nobodys():
    path = SHM / f"pte-stress.{2**22 + os.getpid()}.8.1.run"
    path.mkdir()
    assert path.name not in names(clean())
    path.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_users_files_are_left_alone(file):
    path = file(f"pte-stress.{2**22 + os.getpid()}.6.1.run")
    os.chown(path, 12345, 12345)
    clean()
    assert path.exists()


def test_start_time():
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
