"""The fork server: one process that loads numba and a design's compiled code, forks the workers and reaps them.

Started by `stress.workers.server.client` with the number of a file descriptor, one end of a socket, as its argument. It
answers pickled messages (`stress.workers.server.messages`), and says at once when a worker has ended. It ends when the
other end of the socket is closed, and with the launcher; the workers die with it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import os
import signal
import sys
import traceback
from collections.abc import Callable, Collection
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType
from typing import Any

from shm_layout.errors import MachineError, PteStressError, UsageError
from stress.design import Design
from stress.system.interrupts import leave_to_launcher
from stress.system.module_file import execute
from stress.system.prctl import die_with
from stress.workers.server.declared import Declared, check_declared, declare
from stress.workers.server.messages import Code, Compiling, Died, Done, Failed, Forget, Fork, Load, Open, Requests

LONGEST = 1000
"""Characters of an exception that are sent: with its pid less than what a pipe takes at once."""


def import_module_from(name: str, file: str) -> None:
    """Import a module under the name that it has in the launcher, from its file.

    By its name where that leads to the file, so that a package's module is imported after its package. The program
    that the launcher runs goes by two names, as with multiprocessing: what asks for ``__main__`` must not begin it.
    """
    if name == "__main__":
        if sys.modules[name].__name__ == name:  # still the server's own
            sys.modules[name] = _execute("__mp_main__", file)
    elif name not in sys.modules:
        spec = None
        with contextlib.suppress(ImportError, ValueError):
            spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None and os.path.realpath(spec.origin) == os.path.realpath(file):
            importlib.import_module(name)
        else:
            _execute(name, file)


def _execute(name: str, file: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None:
        raise ImportError(f"{file} is no Python file")
    return execute(spec, Path(file).read_bytes())


class Server:
    """The state of the process: what is loaded, what is mapped, who lives."""

    def __init__(self, launcher: Connection) -> None:
        """Serve the launcher at the other end."""
        self.launcher = launcher
        self.entries: dict[Code, dict[str, Callable[..., int]]] = {}
        self.open: dict[str, tuple[Any, list[Any], Any]] = {}
        self.alive: set[int] = set()
        self.raised, self.raises = os.pipe()  # workers say what ended them: a pid and an exception, a line each
        os.set_blocking(self.raised, False)
        self.said: dict[int, str] = {}

    def load(self, code: Code, theirs: Declared) -> dict[str, Callable[..., int]]:
        """Return the compiled functions of a design."""
        if code not in self.entries:
            import pickle

            declare(theirs)
            try:
                for name, file in code.modules:
                    import_module_from(name, file)
                design = pickle.loads(code.pickled)
            except PteStressError:
                raise
            except Exception as error:
                raise UsageError(f"the design does not load again for its workers: {one_line(error)}") from error
            check_declared(theirs)
            assert isinstance(design, Design)
            from stress.workers.loop.source import compile_design, is_compiled

            if not is_compiled(design, code.arch, code.operations, covered=code.covered):
                self.launcher.send(Compiling())
            self.entries[code] = compile_design(design, code.arch, code.operations, covered=code.covered)
        return self.entries[code]

    def attach(self, request: Open) -> None:
        """Map a segment and open its semaphores."""
        from shm_layout.segment import Segment

        segment = Segment.attach(request.segment, request.layout_hash)
        go = [segment.open_semaphore(f"go{worker}") for worker in range(request.workers)]
        self.open[request.segment] = (segment, go, segment.open_semaphore("done"))

    def fork(self, request: Fork) -> tuple[int, ...]:
        """Start the workers."""
        from stress.workers.server.worker import work

        entries = self.load(request.code, request.declared)
        if request.segment not in self.open:  # it was refused, and the launcher had asked already
            raise UsageError(f"segment {request.segment} is not open: start a new run")
        segment, go, done = self.open[request.segment]
        gc.collect()
        gc.freeze()
        pids: list[int] = []
        for worker, block in enumerate(request.blocks):
            parent = os.getpid()
            try:
                pid = os.fork()
            except OSError:
                end_all(pids)  # half a crew is of no use, and nobody else knows of it
                self.alive -= set(pids)
                raise
            if pid == 0:
                try:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    self.launcher.close()
                    work(parent, entries, segment.array, block, go[worker], done, request.frames)
                except Exception as error:
                    os.write(self.raises, f"{os.getpid()} {one_line(error)}"[:LONGEST].encode() + b"\n")
                    os._exit(1)
                except BaseException:
                    traceback.print_exc()
                    os._exit(1)
            pids.append(pid)
            self.alive.add(pid)
        return tuple(pids)

    def forget(self, request: Forget) -> None:
        """End what is left of a segment's workers, without a word about it, and unmap it."""
        mine = self.alive.intersection(request.pids)
        end_all(mine)
        self.alive -= mine
        segment, _, _ = self.open.pop(request.segment, (None, None, None))
        if segment is not None:
            segment.close()

    def answer(self, request: Requests) -> None:
        """Carry out a request and say so."""
        pids: tuple[int, ...] = ()
        try:
            match request:
                case Load():
                    self.load(request.code, request.declared)
                case Open():
                    self.attach(request)
                case Fork():
                    pids = self.fork(request)
                case Forget():
                    self.forget(request)
        except PteStressError as error:
            self.launcher.send(Failed(str(error), isinstance(error, MachineError)))
        except (OSError, MemoryError) as error:
            self.launcher.send(Failed(f"the fork server cannot go on: {one_line(error)}", machine=True))
        except Exception as error:
            self.launcher.send(Failed(one_line(error), machine=False, fault=traceback.format_exc()))
        else:
            self.launcher.send(Done(pids))

    def reap(self) -> None:
        """Tell of every worker that has ended."""
        for pid in tuple(self.alive):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self.alive.discard(pid)
                with contextlib.suppress(BlockingIOError):
                    for line in os.read(self.raised, 1 << 16).decode(errors="replace").splitlines():
                        who, _, what = line.partition(" ")
                        self.said[int(who)] = what
                self.launcher.send(Died(pid, status, self.said.pop(pid, "")))

    def serve(self, wake: int) -> None:
        """Answer requests until the launcher is gone; ``wake`` is readable when a worker has ended."""
        while True:
            ready = wait([self.launcher, wake])
            if wake in ready:
                os.read(wake, 4096)
                self.reap()
            if self.launcher in ready:
                self.answer(self.launcher.recv())


def one_line(error: BaseException) -> str:
    """Return an error as one line: numba's begin with where it happened and end with advice on reporting it."""
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(("-", "During:", "File "))]
    return f"{type(error).__name__}: {' '.join(told[:4])}"


def end_all(pids: Collection[int]) -> None:
    """Kill these children and wait until they are gone."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        os.waitpid(pid, 0)


def main() -> None:
    """Serve at the socket whose number is the first argument; the second: which process to end with, 0 for none."""
    if parent := int(sys.argv[2]):
        die_with(parent)  # also while it compiles
    leave_to_launcher()
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    server = Server(Connection(int(sys.argv[1])))
    try:
        server.serve(wake)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        end_all(server.alive)
