"""Whether processes have ended, and other things that take their time."""

import time

import psutil


def lives(pid):
    """A zombie has ended: its parent, or what has become it, has not asked for its status yet."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ended(pids, seconds=30):
    """Whether these processes end within so long; it is as long as a busy machine may take."""
    limit = time.monotonic() + seconds
    while (left := [pid for pid in pids if lives(pid)]) and time.monotonic() < limit:
        time.sleep(0.01)
    return not left


def wait_for(condition, seconds=60):
    """Until something has happened."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def without_compiling(stderr):
    """What a command said on stderr, but for the line that it compiles, which it says where nothing is on disk yet."""
    return "".join(line for line in stderr.splitlines(True) if not line.startswith("pte-stress: compiling "))
