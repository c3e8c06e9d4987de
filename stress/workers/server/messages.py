"""The messages between the launcher and the fork server, which are pickled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from stress.workers.server.declared import Declared


class Code(NamedTuple):
    """Which compiled code a worker needs. The modules that define the design's steps are imported first."""

    pickled: bytes
    """The design, pickled."""
    arch: str
    operations: tuple[str, ...]
    modules: tuple[tuple[str, str], ...]
    """Modules that are not part of this package, each with its file."""
    covered: bool = False
    """Whether workers note which steps they take."""


@dataclass(frozen=True)
class Load:
    """Request: have this code ready. Answers: `Compiling` if it is not on disk, then `Done`."""

    code: Code
    declared: Declared


@dataclass(frozen=True)
class Open:
    """Request: map a segment and open its semaphores. Answer: `Done`; the semaphores' names may go then."""

    segment: str
    layout_hash: int
    workers: int


@dataclass(frozen=True)
class Fork:
    """Request: start the workers of a segment that is open. Answer: `Done` with their pids."""

    code: Code
    declared: Declared
    segment: str
    blocks: tuple[int, ...]
    """Index of each worker's block."""
    frames: int


@dataclass(frozen=True)
class Forget:
    """Request: end the workers of a segment at once and unmap it. Answer: `Done`."""

    segment: str
    pids: tuple[int, ...]


@dataclass(frozen=True)
class Compiling:
    """The code is being compiled, which takes some seconds."""


@dataclass(frozen=True)
class Done:
    """A request was carried out."""

    pids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Failed:
    """A request was not carried out: what is wrong, in a line, and whether the machine is to blame.

    ``fault``: the traceback, where the program itself is to blame; else "".
    """

    message: str
    machine: bool
    fault: str = ""


@dataclass(frozen=True)
class Died:
    """A worker has ended: its pid, the status that waitpid gave, and the exception that ended it, if one did."""

    pid: int
    status: int
    raised: str


Requests = Load | Open | Fork | Forget
Answers = Compiling | Done | Failed | Died
