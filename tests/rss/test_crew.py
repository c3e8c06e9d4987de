"""Workers of a comparison that end before their time."""

import os
import signal
import time

import psutil
import pytest

from stress.rss.arena import open_arena
from stress.rss.processes import CrewError, together
from stress.rss.subjects import SUBJECTS


@pytest.mark.timeout(60)
@pytest.mark.parametrize("victim", [0, 1])
def test_any_worker_that_is_killed_ends_the_run(victim):
    """The other one waits for it without end; a child of somebody else's that ends meanwhile is left alone."""
    arena = open_arena(SUBJECTS["atomic"], 2, 2, 2)
    stranger = os.fork()
    if stranger == 0:
        os._exit(7)

    def work(block):
        if block == arena.block(victim):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(3600)

    before = psutil.Process().children()
    with arena.segment, pytest.raises(CrewError, match="a worker of atomic ended with status -9: start the run again"):
        together(arena, work, lambda shared: None)
    assert psutil.Process().children() == before
    assert os.waitstatus_to_exitcode(os.waitpid(stranger, 0)[1]) == 7
