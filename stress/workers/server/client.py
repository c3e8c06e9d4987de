"""The launcher's end of the fork server."""

from __future__ import annotations

import inspect
import json
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any, Self

from shm_layout.errors import MachineError, PteStressError, UsageError
from stress.design import EXACT, Design
from stress.system.cache_home import code_base
from stress.system.interrupts import held_back
from stress.workers.errors import ServerFault, how_it_ended
from stress.workers.server.declared import declared
from stress.workers.server.messages import Code, Compiling, Died, Done, Failed, Load, Requests

SERVE = """\
import json, sys
sys.path[:] = json.loads(sys.argv.pop())
from stress.workers.server.server import main
main()
"""
"""The server's program. Modules are looked for where the launcher does, so that is set before any is imported; what
lies in the current folder is none of the server's (-P)."""

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""No threads of numpy's libraries: the server forks."""


def code_of(design: Design, arch: str, operations: tuple[str, ...], *, covered: bool = False) -> Code:
    """Return what the server needs in order to compile these operations of a design.

    ``covered``: workers note which steps they take.

    Raises `UsageError` for a step or check that another process cannot find by its name.
    """
    # All programs, as an operation's number depends on what others there are.
    own = replace(design, source="", summary="", bound=EXACT, base=None, edits=(), counter=None)
    package = __name__.partition(".")[0]
    try:
        pickled = pickle.dumps(own)
    except (pickle.PicklingError, AttributeError, TypeError) as e:
        raise UsageError(
            f"design {design.name}: workers find steps and checks by their names; define each with def at the top of "
            f"a file ({e})"
        ) from None
    functions: tuple[Callable[..., Any], ...] = (*own.steps, *own.checks, *own.holders)
    modules = {(f.__module__, inspect.getfile(f)) for f in functions if f.__module__.partition(".")[0] != package}
    for _, file in modules:
        if not os.path.isfile(file):
            raise UsageError(f"design {design.name}: workers find steps and checks in files, and {file} is none")
    return Code(pickled, arch, operations, tuple(sorted(modules)), covered)


class ForkServer:
    """A fork server: started when it is made, ended by `close`. Serves any number of pools, one after the other."""

    def __init__(self, on_compile: Callable[[], None] = lambda: None) -> None:
        """Start the process. ``on_compile`` is called when it compiles."""
        self._on_compile = on_compile
        self._died: dict[int, Died] = {}
        # The kernel tells of the end of the thread that started it, which must not be another than the process's.
        parent = str(os.getpid()) if threading.current_thread() is threading.main_thread() else "0"
        mine, theirs = socket.socketpair()
        arguments = (str(theirs.fileno()), parent, json.dumps([*map(os.fspath, sys.path)]))
        with theirs, held_back():
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", SERVE, *arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **ONE_THREAD, "NUMBA_CACHE_DIR": str(code_base())},
            )
        self._connection = Connection(mine.detach())

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    @contextmanager
    def exchange(self) -> Iterator[None]:
        """Around requests and all their answers; any exception but a `PteStressError` ends the server.

        An exception from outside, such as that of a signal or of a test's time that is up, leaves answers behind,
        perhaps half read, that the next one who asks would take for theirs.
        """
        try:
            yield
        except PteStressError:
            raise
        except BaseException:
            self.close()
            raise

    def send(self, request: Requests) -> None:
        """Send a request without waiting for its answer. Raises `MachineError` when the server is gone."""
        if self._connection.closed:
            raise self._gone()
        try:
            self._connection.send(request)
        except (BrokenPipeError, ConnectionResetError):
            raise self._gone() from None

    def receive(self) -> Done:
        """Wait for the answer to the oldest request that has none yet.

        Raises `UsageError` for a design that does not compile or a segment that is none, `MachineError` when the
        server is gone or out of something.
        """
        while True:
            try:
                answer = self._connection.recv()
            except (EOFError, ConnectionResetError):
                raise self._gone() from None
            match answer:
                case Done():
                    for pid in answer.pids:
                        self._died.pop(pid, None)  # of another life
                    return answer
                case Failed() if answer.fault:
                    raise ServerFault(answer.message, answer.fault)
                case Failed():
                    raise (MachineError if answer.machine else UsageError)(answer.message)
                case Died():
                    self._died[answer.pid] = answer
                case Compiling():
                    self._on_compile()

    def load(self, code: Code) -> None:
        """Have code compiled or loaded, and wait for it."""
        with self.exchange():
            self.send(Load(code, declared()))
            self.receive()

    def died(self) -> dict[int, Died]:
        """Workers that have ended so far, by pid. Does not wait.

        Raises `MachineError` when the server is gone.
        """
        if self._connection.closed:
            raise self._gone()
        try:
            while self._connection.poll():
                with self.exchange():
                    answer = self._connection.recv()
                assert isinstance(answer, Died), answer
                self._died[answer.pid] = answer
        except (EOFError, ConnectionResetError):
            raise self._gone() from None
        return self._died

    def lives(self) -> bool:
        """Return whether the server is there."""
        return self._process.poll() is None

    def _gone(self) -> MachineError:
        status = self._process.wait()
        how = f"{how_it_ended(-status)}: try again" if status < 0 else "ended: see above"
        return MachineError(f"the fork server (pid {self.pid}) {how}")

    def close(self) -> None:
        """End the server and all its workers, and wait until the server has ended. May be repeated."""
        if not self._connection.closed:
            self._connection.close()
        try:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)  # it ends at once unless it compiles, which may be broken off
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()

    def __enter__(self) -> Self:
        """Return the server itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close it."""
        self.close()
