"""Segments: what is in the header, what is refused, and that nothing stays behind."""

import gc
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import posix_ipc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from in_shm import made_by

from shm_layout import available, creator
from shm_layout.errors import MachineError, UsageError
from shm_layout.segment import MAGIC, VERSION, Segment
from shm_layout.structs import HEADER_WORDS

HASH = 0x1234_5678_9ABC_DEF0


@pytest.fixture(autouse=True)
def mine():
    """Returns what this process has in /dev/shm since the test began; at its end that must be nothing."""
    gc.collect()
    before = made_by(os.getpid())  # by other tests' workers
    yield lambda: set(made_by(os.getpid())) - set(before)
    gc.collect()
    assert made_by(os.getpid()) == before


def test_a_segment_says_who_made_it():
    with Segment.create(1000, HASH, "test") as segment:
        me = creator.this_process()
        assert (me.pid, me.started) == (os.getpid(), creator.start_time(os.getpid()))
        assert me.pid_namespace == os.stat("/proc/self/ns/pid").st_ino
        assert segment.array[:8].tolist() == [MAGIC, VERSION, HASH, 1000, *me]
        assert not segment.array[9:].any()
        assert segment.array.shape == (1000,)
        assert segment.array.dtype == np.int64
        assert segment.name.startswith(f"/pte-stress.{me.pid}.{me.started}.{me.pid_namespace}.{me.time_namespace}.")
        assert segment.name.endswith(".test")
        assert os.stat(f"/dev/shm{segment.name}").st_blocks * 512 >= 8000
        assert os.stat(f"/dev/shm{segment.name}").st_mode & 0o777 == 0o600


@settings(max_examples=30)
@given(st.integers(HEADER_WORDS, 10_000), st.integers(-(2**64), 2**64), st.data())
def test_attached_memory_is_the_same(words, layout_hash, data):
    with Segment.create(words, layout_hash) as segment, Segment.attach(segment.name, layout_hash) as other:
        assert other.array.shape == segment.array.shape
        i = data.draw(st.integers(0, words - 1))
        segment.array[i] = 77
        assert other.array[i] == 77
        other.array[i] = -5
        assert segment.array[i] == -5


def test_two_segments_have_two_names(mine):
    with Segment.create(100, 1) as a, Segment.create(100, 1) as b:
        assert a.name != b.name
        assert mine() == {a.name[1:], b.name[1:]}


def test_close_removes_once_and_views_stay_valid(mine):
    segment = Segment.create(100, 1)
    view = segment.array
    segment.close()
    assert not mine()
    segment.close()
    view[50] = 3
    assert view[50] == 3
    assert segment.array.size == 0


def test_a_forgotten_segment_goes_with_its_object(mine):
    Segment.create(100, 1)
    gc.collect()
    assert not mine()


def test_a_segment_that_was_removed_by_hand_is_left_quietly():
    with Segment.create(100, 1) as segment:
        os.unlink(f"/dev/shm{segment.name}")


def test_unlinked_early_stays_usable(mine):
    with Segment.create(100, 1) as segment, Segment.attach(segment.name) as other:
        segment.unlink()
        assert not mine()
        segment.array[20] = 9
        assert other.array[20] == 9
        with pytest.raises(UsageError, match="its run has ended"):
            Segment.attach(segment.name)


def test_closing_what_was_attached_or_inherited_removes_nothing(mine):
    with Segment.create(100, 1) as segment:
        Segment.attach(segment.name).close()
        child = os.fork()
        if child == 0:
            segment.unlink()
            segment.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert mine() == {segment.name[1:]}


CORRUPTIONS = {
    "magic word": lambda header: header.__setitem__(0, MAGIC + 1),
    f"version {VERSION + 1}, not {VERSION}": lambda header: header.__setitem__(1, VERSION + 1),
    "another layout": lambda header: header.__setitem__(2, HASH + 1),
    "its header says 8008": lambda header: header.__setitem__(3, 1001),
}


@pytest.mark.parametrize("message", CORRUPTIONS)
def test_a_foreign_segment_is_refused(message):
    with Segment.create(1000, HASH) as segment:
        Segment.attach(segment.name, HASH).close()
        CORRUPTIONS[message](segment.array)
        with pytest.raises(UsageError, match=message) as refused:
            Segment.attach(segment.name, HASH)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("size", [0, 8, HEADER_WORDS * 8 - 1])
def test_too_short_for_a_header(size):
    with Segment.create(100, 1) as segment:
        os.truncate(f"/dev/shm{segment.name}", size)
        segment.array = np.empty(0, np.int64)  # its pages are gone: touching them would be SIGBUS
        with pytest.raises(UsageError, match="too short"):
            Segment.attach(segment.name)


@pytest.mark.parametrize("name", ["/pte-stress.no.such", "", "/a/b", "/" + "x" * 300])
def test_a_segment_that_there_is_not_is_refused(name):
    with pytest.raises(UsageError, match="segment"):
        Segment.attach(name)


def test_no_room_for_the_header_is_the_callers_mistake():
    with pytest.raises(ValueError, match="header"):
        Segment.create(HEADER_WORDS - 1, 1)


def test_a_tag_that_clean_would_not_find():
    with pytest.raises(ValueError, match="tag"):
        Segment.create(100, 1, "../x")


@pytest.mark.parametrize("what", ["memory_available", "shm_available"])
def test_more_than_there_is(what, monkeypatch):
    room = 1 << 20 if what == "shm_available" else available.Room(available.RESERVE + (1 << 20), "cgroup /x")
    monkeypatch.setattr(available, what, lambda: room)
    with pytest.raises(MachineError, match=r"1,153,432 bytes needed, 1,048,576 free in .*: use fewer pages"):
        Segment.create((11 << 20) // 80, 1)
    Segment.create(1000, 1).close()


def test_much_more_than_any_machine_has():
    with pytest.raises(MachineError, match="use fewer pages"):
        Segment.create(1 << 50, 1)


def in_child(code, **kwargs):
    """Run `code` in a Python of its own; returns the finished process, whose output is text."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **kwargs)


def test_a_reservation_that_fails_leaves_nothing():
    """A real failure of posix_fallocate: the limit on the size of files."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    done = in_child(
        """
        import os
        from shm_layout.segment import Segment
        from shm_layout.errors import MachineError
        try:
            Segment.create(1 << 18, 1)
        except MachineError as e:
            mine = [f for f in os.listdir("/dev/shm") if f.startswith(f"pte-stress.{os.getpid()}.")]
            print("refused:", e, "left:", mine)
        """,
        preexec_fn=limit,
    )
    assert done.stdout == "refused: cannot reserve 2097152 bytes in /dev/shm: File too large left: []\n"


def test_a_full_shm_is_an_error_and_no_signal():
    """A /dev/shm of 1 MiB that fills up between the look at it and the reservation."""
    code = """
        import os
        from shm_layout import available
        from shm_layout.segment import Segment
        from shm_layout.errors import MachineError
        look = available.shm_available
        answers = iter([1 << 40])
        available.shm_available = lambda: next(answers, None) or look()
        try:
            Segment.create(1 << 18, 1)
        except MachineError as e:
            print("refused:", e, "left:", os.listdir("/dev/shm"))
        """
    mounting = 'mount -t tmpfs -o size=1m none /dev/shm && exec "$0" -c "$1"'
    command = ["unshare", "-rm", "sh", "-c", mounting, sys.executable, textwrap.dedent(code)]
    mount = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/dev/shm"]
    if not shutil.which("unshare") or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine gives no user namespaces")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "refused: 2,097,152 bytes needed, 1,048,576 free in /dev/shm: use fewer pages left: []\n"


@pytest.mark.parametrize("ending", ["pass", "raise SystemExit(1)", "1 / 0"])
def test_a_creator_that_ends_without_close_leaves_nothing(ending):
    done = in_child(f"""
        import os
        from shm_layout.segment import Segment
        segment = Segment.create(100, 1)
        segment.create_semaphore("start")
        print(os.getpid(), len([f for f in os.listdir("/dev/shm") if f".{{os.getpid()}}." in f]), flush=True)
        {ending}
    """)
    pid, existed = map(int, done.stdout.split())
    assert existed == 2
    assert made_by(pid) == []


def test_semaphores(mine):
    with Segment.create(100, 1) as segment, Segment.attach(segment.name) as other:
        made = segment.create_semaphore("start", 1)
        opened = other.open_semaphore("start")
        assert sorted(mine()) == sorted([segment.name[1:], f"sem{made.name.replace('/', '.')}"])
        opened.acquire(0)
        with pytest.raises(posix_ipc.BusyError):
            made.acquire(0)
        made.release()
        opened.acquire(0)
        with pytest.raises(UsageError, match="no semaphore stop"):
            other.open_semaphore("stop")
    assert not mine()


def test_names_cannot_be_foreseen():
    """Neither that of a segment from another, nor that of a semaphore from the name of its segment."""
    with Segment.create(100, 1) as one, Segment.create(100, 1) as other:
        names = [segment.name.split(".") for segment in (one, other)]
        differ = [(a, b) for a, b in zip(*names, strict=True) if a != b]
        assert [(len(a), len(b)) for a, b in differ] == [(16, 16)]
        assert abs(int(differ[0][0], 16) - int(differ[0][1], 16)) > 1 << 20
        ends = [segment.create_semaphore("start").name.removeprefix(segment.name) for segment in (one, other)]
        assert ends[0] != ends[1]
        assert all(end.startswith(".start.") and len(end) == len(".start.") + 16 for end in ends)


def test_a_semaphore_whose_name_is_taken_is_the_machines_error(mine):
    with Segment.create(100, 1) as segment:
        segment.create_semaphore("start")
        with pytest.raises(MachineError, match="already"):
            segment.create_semaphore("start")
    assert not mine()


def creator_lives(segment):
    """Whether the process that the header names still runs."""
    return creator.alive(*segment.array[4:6].tolist())


@pytest.mark.usefixtures("cleaning_alone")
def test_the_creators_death_is_seen():
    code = """
        from shm_layout.segment import Segment
        segment = Segment.create(100, 1)
        print(segment.name, flush=True)
        input()
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with child, Segment.attach(child.stdout.readline().strip()) as segment:
        assert creator_lives(segment)
        child.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not creator_lives(segment)  # a zombie
        child.wait()
        assert not creator_lives(segment)
        Path(f"/dev/shm{segment.name}").unlink(missing_ok=True)
    assert made_by(child.pid) == []
