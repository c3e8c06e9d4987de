"""What can go wrong while workers run, besides a check."""

from __future__ import annotations

import signal

from shm_layout.errors import MachineError, PteStressError


class ServerFault(Exception):
    """The fork server failed at something that neither the user nor the machine is to blame for."""

    def __init__(self, message: str, trace: str) -> None:
        """Keep ``message``, the server's error in a line, and ``trace``, its traceback there."""
        super().__init__(f"the fork server: {message}")
        self.add_note(trace)


class WorkerDied(MachineError):
    """A worker ended although nothing asked it to. Exit status 3."""

    def __init__(self, worker: int, pid: int, status: int, doing: str) -> None:
        """Keep ``status``, as waitpid gave it, and ``doing``, the operation that the worker was in."""
        self.worker = worker
        self.pid = pid
        self.status = status
        self.doing = doing
        super().__init__(f"worker {worker} (pid {pid}) {how_it_ended(status)} {doing}: nothing is known of the rest")


class StepFailed(PteStressError):
    """An assertion in a step or a check failed in a worker: check `user` is broken. Exit status 1."""

    exit_status = 1


def how_it_ended(status: int) -> str:
    """Return what a status of waitpid means, as the predicate of a sentence."""
    number = status & 0x7F
    if number == 0:
        return f"ended with status {status >> 8}"
    try:
        return f"was killed by {signal.Signals(number).name}"
    except ValueError:
        return f"was killed by signal {number}"
