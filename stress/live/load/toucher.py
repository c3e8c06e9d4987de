"""A small process that touches pages one by one on request: what the probe looks at where no load is started.

It needs no compiled code, so it is there within a moment. `Toucher` starts it and asks it as a thread of a `Crew` is
asked: MAP of an anonymous area, TOUCH, PIN and UNMAP of `stress.live.load.request`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from shm_layout.errors import MachineError
from stress.live.load import request
from stress.live.reading.process import Process


class Toucher:
    """The process, for use in a `with` statement; `process` reads it."""

    def __init__(self) -> None:
        """Start it. Raises MachineError when that cannot be."""
        # The package that is running, whatever lies in the current folder.
        path = os.pathsep.join([str(Path(__file__).parents[3]), *filter(None, [os.environ.get("PYTHONPATH")])])
        try:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "stress.live.load.toucher", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                process_group=0,
                env={**os.environ, "PYTHONPATH": path},
            )
        except OSError as why:
            raise MachineError(f"cannot start {sys.executable}: {why.strerror}") from why
        try:
            self.ask(request.PIN, -1)
            self.process = Process(self._child.pid)
        except BaseException:
            self.close()
            raise

    def ask(self, *words: int) -> list[int]:
        """Send a request and wait for its reply. Raises MachineError when the process has gone."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.write(request.pack(*words))
        except BrokenPipeError:
            raise MachineError("the process that touches pages has ended: is memory short?") from None
        reply = self._child.stdout.read(request.WORDS * 8)
        if not reply:
            raise MachineError("the process that touches pages has ended: is memory short?")
        return request.unpack(reply)

    def __enter__(self) -> Toucher:
        """Return the process itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    def close(self) -> None:
        """End the process."""
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()


def main() -> None:
    """Serve requests until the pipe is closed."""
    import mmap
    import threading

    from stress.system.prctl import PR_SET_THP_DISABLE, die_with, prctl

    die_with(int(sys.argv[1]))
    # A huge page counts as 512 at once; single pages are what is looked at.
    prctl(PR_SET_THP_DISABLE, 1)
    # Some distributions' kernels count exactly while a process has one thread; the others are asked about.
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    everywhere = os.sched_getaffinity(0)
    area = None
    reply = request.pack(0)
    while data := os.read(0, request.WORDS * 8):
        op, first, second, third, step, *_ = request.unpack(data)
        if op == request.MAP:
            area = mmap.mmap(-1, third, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        elif op == request.TOUCH and area is not None:
            for page in range(second, second + third):
                area[page * step] = 1
        elif op == request.UNMAP and area is not None:
            area.close()
            area = None
        elif op == request.PIN:
            os.sched_setaffinity(0, everywhere if first < 0 else {first})
        os.write(1, reply)


if __name__ == "__main__":
    main()
