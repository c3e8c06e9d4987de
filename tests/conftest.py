"""What all tests share: a /dev/shm that is left as it was found, and no deadline for Hypothesis.

All test processes share one cache of compiled code (`stress.compiling.modules.cache_folder`).
"""

import fcntl
import gc
import os
import signal

import psutil
import pytest
from hypothesis import HealthCheck, settings
from in_shm import made_by

from shm_layout.available import SHM

# A run in the background is started with SIGINT ignored, one below nohup with SIGHUP; and so would be what the tests
# start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD):
    signal.signal(number, signal.SIG_DFL)

# How long examples take, and their drawing, is the machine's business: beside other load it is anything.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

# pytest-xdist sets COLUMNS for its workers, and readline, which pytest imports, sets both in C's environment only, of
# which os.environ does not know; tables of what the tests start would be wrapped to it.
for size in ("COLUMNS", "LINES"):
    os.environ.pop(size, None)
    os.unsetenv(size)
for wish in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "PYTEST_ADDOPTS"):
    os.environ.pop(wish, None)


@pytest.fixture(scope="session", autouse=True)
def _shm_as_found():
    """Fail at the end when this process or a child that it has not ended left something behind."""
    yield
    gc.collect()
    pids = [os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))]
    left = [file for pid in pids for file in made_by(pid)]
    assert not left, f"left in /dev/shm: {left}"


@pytest.fixture
def cleaning_alone():
    """Keep other test processes from removing leftovers that this test looks for."""
    shm = os.open(SHM, os.O_RDONLY)
    fcntl.flock(shm, fcntl.LOCK_EX)  # of all test runs on this machine
    yield
    os.close(shm)
