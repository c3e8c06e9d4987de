"""Worker processes and their threads, asked over pipes; all of them at rest between two requests."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from shm_layout.errors import MachineError
from stress.live.load import request
from stress.live.reading.process import Process, ProcessEnded, parse_stat, read_file
from stress.system.cache_home import code_base
from stress.system.cpus import allowed_cpus

IDLE_SECONDS = 120.0
"""How long the server may take no CPU time while it starts. It compiles the loops, as long as that takes."""
REST_SECONDS = 5.0


class Channel:
    """The pipes to one thread, or to one forked child: one request at a time, one reply to each."""

    def __init__(self, gone: Callable[[], MachineError]) -> None:
        """Make both pipes; `gone` gives the error to raise when the worker has died."""
        self._gone = gone
        try:
            self.inside_request, self._request = os.pipe2(os.O_CLOEXEC)
            self._reply, self.inside_reply = os.pipe2(os.O_CLOEXEC)
        except OSError as why:
            raise MachineError(
                f"no pipes for so many workers: {why.strerror}; ask for fewer, or raise `ulimit -n`"
            ) from why
        self.process: Process | None = None

    def send(self, *words: int) -> None:
        """Send a request. Raises MachineError when the worker has gone."""
        try:
            os.write(self._request, request.pack(*words))
        except BrokenPipeError:
            raise self._gone() from None

    def receive(self) -> list[int]:
        """Wait for the reply. Raises MachineError when the worker has gone or its request failed."""
        while not self.ready(1.0):
            if self.process is not None and not self.process.alive():
                raise self._gone()
        data = os.read(self._reply, request.WORDS * 8)
        if not data:
            raise self._gone()
        words = request.unpack(data)
        if words[0] == -errno.ENOMEM:
            raise MachineError("a worker ran out of memory: use a smaller --memory (limits: `ulimit -v`, cgroup)")
        if words[0]:
            raise MachineError(f"a worker's request failed: {request.describe(words[0])}")
        return words

    def ask(self, *words: int) -> list[int]:
        """Send a request and wait for its reply."""
        self.send(*words)
        return self.receive()

    def ready(self, seconds: float = 0.0) -> bool:
        """Return whether a reply (or the end of the worker) can be had within some seconds."""
        return bool(select.select([self._reply], [], [], seconds)[0])

    def close_inside(self) -> None:
        """Close the ends that only the worker needs."""
        os.close(self.inside_request)
        os.close(self.inside_reply)

    def close(self) -> None:
        """Close our ends; the thread at the other end returns."""
        os.close(self._request)
        os.close(self._reply)


class Crew:
    """Worker processes, each with the same number of threads, for use in a `with` statement."""

    def __init__(
        self,
        processes: int,
        threads: int,
        *,
        slots: int = 1,
        slot_bytes: int = 0,
        file: int = -1,
        tmpfs: int = -1,
        children: int = 0,
    ) -> None:
        """Start the workers.

        slots, slot_bytes: how many areas a thread has, and how large each may be; file, tmpfs: descriptors of
        files to map; children: channels for children that the first thread forks. Raises MachineError when
        they do not start.
        """
        self.threads = [[Channel(self._gone) for _ in range(threads)] for _ in range(processes)]
        self.children = [Channel(self._gone) for _ in range(children)]
        given = [channel for mine in self.threads for channel in mine]
        pairs = [[[c.inside_request, c.inside_reply] for c in mine] for mine in self.threads]
        spare = [fd for c in self.children for fd in (c.inside_request, c.inside_reply)]
        setup = {
            "parent": os.getpid(),
            "pipes": pairs,
            "slots": slots,
            "slot_bytes": slot_bytes,
            "file": file,
            "tmpfs": tmpfs,
            "cpus": allowed_cpus(),
        }
        inherited = [fd for mine in pairs for pair in mine for fd in pair] + spare
        # The package that is running, whatever lies in the current folder.
        path = os.pathsep.join([str(Path(__file__).parents[3]), *filter(None, [os.environ.get("PYTHONPATH")])])
        try:
            self._server = subprocess.Popen(
                [sys.executable, "-P", "-m", "stress.live.load.server", json.dumps(setup)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # A group of its own: Ctrl-C at the terminal shall end us, who then end them in good order.
                process_group=0,
                pass_fds=[fd for fd in (*inherited, file, tmpfs) if fd >= 0],
                # OpenBLAS would add threads of its own to the processes that are measured.
                env={
                    **os.environ,
                    "OPENBLAS_NUM_THREADS": "1",
                    "PYTHONPATH": path,
                    "NUMBA_CACHE_DIR": str(code_base()),
                },
            )
        except OSError as why:
            raise MachineError(f"cannot start workers with {sys.executable}: {why.strerror}") from why
        for channel in (*given, *self.children):
            channel.close_inside()
        try:
            self.processes = [Process(pid) for pid in self._wait_ready()]
            for process, mine in zip(self.processes, self.threads, strict=True):
                for channel in mine:
                    channel.process = process
            self.ask_all(request.PIN, -1)
        except BaseException:
            self.close()
            raise

    def _gone(self) -> MachineError:
        """Return what killed a worker, as the server saw it."""
        out = self._server.stdout
        if out is not None and select.select([out], [], [], 1.0)[0]:
            line = out.readline()
            if line:
                ended = json.loads(line)
                return MachineError(
                    f"worker process {ended['pid']} was killed by {ended['signal']}: out of memory or "
                    f"disk space, or killed from outside (see dmesg)"
                )
        return MachineError("a worker process died")

    def _wait_ready(self) -> list[int]:
        """Return the pids that the server prints."""
        assert self._server.stdout is not None
        assert self._server.stderr is not None
        spent, last = -1, time.monotonic()
        while not select.select([self._server.stdout], [], [], 1.0)[0]:
            now = _cpu_ticks(self._server.pid)
            if now != spent:
                spent, last = now, time.monotonic()
            elif time.monotonic() - last > IDLE_SECONDS:
                raise MachineError(
                    f"the worker processes do not start: their server, pid {self._server.pid}, has done nothing for "
                    f"{IDLE_SECONDS:.0f} s; is it stopped or traced?"
                )
        line = self._server.stdout.readline()
        if not line:
            why = self._server.stderr.read().decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise MachineError(f"the worker processes did not start: {why[-1]}")
        pids: list[int] = json.loads(line)["pids"]
        return pids

    def ask_all(self, *words: int) -> list[list[list[int]]]:
        """Send the same request to every thread at once; return the replies, by process and thread."""
        for mine in self.threads:
            for channel in mine:
                channel.send(*words)
        return [[channel.receive() for channel in mine] for mine in self.threads]

    def __enter__(self) -> Crew:
        """Return the crew itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all workers."""
        self.close()

    def close(self) -> None:
        """End all workers: close their pipes, and kill what does not end at once."""
        for channel in (*(c for mine in self.threads for c in mine), *self.children):
            channel.close()
        try:
            self._server.wait(2.0)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
        for stream in (self._server.stdout, self._server.stderr):
            if stream is not None:
                stream.close()


def _cpu_ticks(pid: int) -> int:
    """Return the CPU time that a process has taken, in clock ticks; 0 when it has gone."""
    try:
        fields = parse_stat(read_file(f"/proc/{pid}/stat"))
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def wait_at_rest(processes: Sequence[Process]) -> None:
    """Wait until every thread of the processes sleeps: then nothing in them can fault.

    A thread that has sent its reply still has the way into read(2) before it. Raises MachineError when one
    does not come to rest, ProcessEnded when one has gone.
    """
    deadline = time.monotonic() + REST_SECONDS
    for process in processes:
        while any(state != "S" for state, _ in process.tasks().values()):
            if not process.alive():
                raise ProcessEnded(f"pid {process.pid} ({process.name}) has ended")
            if time.monotonic() > deadline:
                raise MachineError(f"pid {process.pid} does not come to rest: is it stopped or traced?")
            time.sleep(0)
