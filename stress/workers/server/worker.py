"""A worker process: waits for a command, carries it out by compiled code, says so, and waits again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from stress.system.prctl import die_with
from stress.workers.loop import block


def work(  # noqa: PLR0917
    parent: int,
    entries: dict[str, Callable[..., int]],
    array: NDArray[np.int64],
    first: int,
    go: Any,
    done: Any,
    frames: int,
) -> NoReturn:
    """Serve the block at index ``first`` until the fork server ends it.

    ``go`` and ``done`` are posix_ipc semaphores; ``frames`` the number of page frames, for checks at rest.
    """
    die_with(parent)
    scratch = np.empty(0, np.int64)
    mine = array[first:]
    while True:
        go.acquire()
        command = mine[block.COMMAND]
        if command in (block.RUN, block.SWEEP):
            began = time.perf_counter_ns()
            entries["batch" if command == block.RUN else "sweep"](array, first)
            mine[block.ELAPSED_NS] += time.perf_counter_ns() - began
        elif command == block.PERFORM:
            entries["script"](array, first)
        elif command == block.SCAN:
            entries["scan"](array, first)
        elif command == block.CHECK:
            if not scratch.size:
                scratch = np.empty(frames, np.int64)
            mine[block.RESULT] = entries["check"](array, scratch, mine[block.TARGET], first)
        mine[block.ANSWERED] = mine[block.SERIAL]
        done.release()
