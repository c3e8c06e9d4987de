"""The process that the workers are forked from: it compiles the loops once, forks, and waits.

Started by `stress.live.load.crew` as `python -m stress.live.load.server` with one JSON object as argument. It prints
one JSON object a line: {"pids": [...]} when the workers are there, {"pid": n, "signal": name} when one is
killed; it ends when they have all ended. It dies with
the process that started it, and the workers die with it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

from stress.system.prctl import PR_SET_CHILD_SUBREAPER, PR_SET_THP_DISABLE, die_with, prctl


def thread_arguments(setup: dict[str, Any], fds: list[int]) -> tuple[Any, ...]:
    """Return the arrays that `loops.serve` works on, with every page of them touched already."""
    import numpy as np

    from stress.live.load import loops

    state = np.zeros(loops.STATE_WORDS, np.int64)
    state[loops.CMD], state[loops.DONE] = fds
    state[loops.SLOTS], state[loops.SLOT_BYTES] = setup["slots"], setup["slot_bytes"]
    state[loops.PAGE] = os.sysconf("SC_PAGE_SIZE")
    state[loops.FILE_FD], state[loops.TMPFS_FD] = setup["file"], setup["tmpfs"]
    cpus = np.array(setup["cpus"], np.int64)
    return (
        state,
        np.full(setup["slots"], 0, np.int64),
        np.full(setup["slots"], 0, np.int64),
        cpus,
        np.full(int(cpus.max()) // 64 + 1, 0, np.uint64),
        np.full((2, 18), 0, np.int64),
        np.full((4, 8), 0, np.int64),
    )


def work(setup: dict[str, Any], mine: list[list[int]]) -> None:
    """Serve as one worker: a thread for each pair of pipes in `mine`, until the pipes are closed."""
    from stress.live.load import loops

    threads = [threading.Thread(target=loops.serve, args=thread_arguments(setup, fds)) for fds in mine]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    """Compile, fork the workers, say their pids, wait for all of them."""
    setup = json.loads(sys.argv[1])
    die_with(setup["parent"])
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    # A huge page counts as 512 at once; the loops are about single pages.
    prctl(PR_SET_THP_DISABLE, 1)
    from stress.live.load import loops

    loops.serve(*thread_arguments(setup, [-1, -1]))
    me, pids = os.getpid(), []
    pipes: list[list[list[int]]] = setup["pipes"]
    for number, mine in enumerate(pipes):
        pid = os.fork()
        if pid == 0:
            die_with(me)
            for other in (fd for n, theirs in enumerate(pipes) if n != number for pair in theirs for fd in pair):
                os.close(other)
            work(setup, mine)
            os._exit(0)
        pids.append(pid)
    for fd in (fd for theirs in pipes for pair in theirs for fd in pair):
        os.close(fd)
    print(json.dumps({"pids": pids}), flush=True)
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            return
        if pid in pids and os.WIFSIGNALED(status):
            print(json.dumps({"pid": pid, "signal": signal.Signals(os.WTERMSIG(status)).name}), flush=True)


if __name__ == "__main__":
    main()
