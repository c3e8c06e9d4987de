"""Perform shards in a process beside the worker, which has a main thread, memory and signals of its own.

The process ends when the worker does, which alone holds the other end of a pipe. What a shard prints goes to standard
error, which is the worker's.
"""

from __future__ import annotations

import os
import pickle
import select
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from tempfile import TemporaryDirectory
from typing import IO, Any, TypeVar

from stress.cluster.identity import differences
from stress.system.told_error import ToldError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
LENGTH = 8
"""Bytes of the number of bytes that follow."""
IDLE = 60.0
"""Seconds that a process waits for its next shard."""
GRACE = 5.0
"""Seconds that processes of a shard have to end by themselves."""


class Died(Exception):
    """The process of a shard ended before its work was done."""


class _Process:
    """A process on a worker that performs shards, one after the other, in a folder of its own."""

    def __init__(self, folder: str) -> None:
        """Start it, with a folder below this one."""
        self._folder = TemporaryDirectory(dir=folder, prefix="shards-")
        theirs, self._lifeline = os.pipe()
        command = [sys.executable, "-P", "-m", "stress.cluster.apart", str(theirs)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, cwd=self._folder.name, start_new_session=True, pass_fds=(theirs,)
        )
        os.close(theirs)

    def perform(self, data: bytes) -> Any:
        """Give it a shard, and return what it tells. Raises `Died`, also where it had ended before."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        told = None
        with suppress(BrokenPipeError):
            self._process.stdin.write(len(data).to_bytes(LENGTH) + data)
            self._process.stdin.flush()
            told = _read_frame(self._process.stdout)
        if told is None:
            raise Died(f"ended with status {self._process.wait()}")
        return pickle.loads(told)

    def end(self) -> None:
        """End it, and all that it started."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        os.close(self._lifeline)
        self._process.wait()
        self._folder.cleanup()


_idle: list[_Process] = []
"""On a worker: processes that wait for the next shard."""


def perform(wanted: dict[str, str], function: Callable[[_Item], _Result], item: _Item, again: bool) -> Any:
    """On a worker: apply a function to an item in another process; returns its result alone, or its error, told.

    ``wanted``: what the one who asks for it is (`stress.cluster.identity`). ``again``: the process may have performed
    others before, and may perform others after. Raises `Died`.
    """
    if said := differences(wanted):
        return ToldError(2, f"the machine of a worker differs: {said}; install the same there")
    from distributed import get_worker

    data = pickle.dumps((function, item))
    while True:
        waited = again and bool(_idle)
        process = _idle.pop() if waited else _Process(get_worker().local_directory)
        try:
            told = process.perform(data)
        except Died:
            process.end()
            if not waited:
                raise
            continue  # it had waited for so long that it ended
        except BaseException:
            process.end()
            raise
        if again:
            _idle.append(process)
        else:
            process.end()
        return told


def _read_frame(source: IO[bytes]) -> bytes | None:
    """Read what was sent with its length before it; None at the end."""
    length = source.read(LENGTH)
    data = source.read(int.from_bytes(length)) if len(length) == LENGTH else b""
    return data if len(length) == LENGTH and len(data) == int.from_bytes(length) else None


def _end_with_worker(lifeline: int) -> None:
    """Wait until the worker closes its end of a pipe, or is no more, and end with all that was started."""
    import psutil

    while os.read(lifeline, 1):
        pass
    children = psutil.Process().children(recursive=True)
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.terminate()
    _, left = psutil.wait_procs(children, GRACE)
    for child in left:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    os._exit(1)


def main() -> None:
    """In the process: read what is to be done, do it, tell what came of it; until there is nothing for a while."""
    lifeline = int(sys.argv[1])
    given = os.fdopen(os.dup(0), "rb")
    told = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    threading.Thread(target=_end_with_worker, args=(lifeline,), daemon=True).start()
    while select.select([given], [], [], IDLE)[0] and (data := _read_frame(given)) is not None:
        result: Any
        try:
            function, item = pickle.loads(data)
            result = pickle.dumps((function(item),))
        except Exception as error:
            result = pickle.dumps(ToldError.of(error))
        with suppress(BrokenPipeError):  # nobody waits for it any more
            told.write(len(result).to_bytes(LENGTH) + result)
            told.flush()
    os._exit(0)  # the thread above still reads


if __name__ == "__main__":
    main()
