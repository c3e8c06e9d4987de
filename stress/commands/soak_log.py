"""The log of a soak: a line of JSON for each round, and what they add up to."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
from tabulate import tabulate

from shm_layout.errors import UsageError

STARTS = (b'{"round": ', b'{"totals": ')
"""How a line of the log begins."""
NO_END = "end"
"""In the place of a check: a round that was killed, or ended with an error."""


@dataclass
class Sums:
    """What some rounds add up to."""

    rounds: int = 0
    operations: int = 0
    seconds: float = 0.0
    failures: int = 0
    broken: dict[str, int] = field(default_factory=dict)
    """Rounds by the check that broke, `NO_END` for one that did not end by itself."""

    def __post_init__(self) -> None:
        """Raises `TypeError` for what a log from elsewhere may say."""
        figures = {k: v for k, v in vars(self).items() if k != "broken"}
        if not all(isinstance(value, int | float) for value in (*figures.values(), *self.broken.values())):
            raise TypeError("no number")

    def add(self, record: dict[str, Any]) -> None:
        """Add a round."""
        self.rounds += 1
        self.operations += record["operations"]
        self.seconds += record["seconds"]
        self.failures += not record["ok"]
        for check in () if record["ok"] else record.get("broken") or (NO_END,):
            self.broken[check] = self.broken.get(check, 0) + 1


@dataclass
class Log:
    """The log, and what its rounds add up to by design, older logs included."""

    path: Path
    most_bytes: int
    sums: dict[str, Sums] = field(default_factory=dict)

    @property
    def failures_folder(self) -> Path:
        """Where failures are kept."""
        return self.path.with_name(self.path.name + ".failures")

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else writes to this log meanwhile. Makes the folder for failures. Raises `UsageError`."""
        if self.path.exists() and not self.path.is_file():
            raise UsageError(f"--log {self.path}: it is no file; name another one")
        self.failures_folder.mkdir(exist_ok=True)
        folder = os.open(self.failures_folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(f"--log {self.path}: another soak writes to it; name another one") from None
            yield
        finally:
            os.close(folder)

    @property
    def rounds(self) -> int:
        """Rounds so far."""
        return sum(s.rounds for s in self.sums.values())

    @property
    def failures(self) -> int:
        """Failures so far."""
        return sum(s.failures for s in self.sums.values())

    def failure(self, number: int) -> Path:
        """Return the file for what a round failed with."""
        return self.failures_folder / f"round-{number:07}.json"

    def read(self) -> None:
        """Add up what is there; a last line that was not finished is cut off. Raises `UsageError` for another file."""
        if not self.path.exists():
            return
        whole = 0
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    if line.endswith(b"\n"):
                        self._add(json.loads(line))
                    elif not any(start.startswith(line[: len(start)]) for start in STARTS):
                        raise ValueError(line)
                    else:
                        break
                except (ValueError, KeyError, TypeError, AttributeError):
                    raise UsageError(f"{self.path}, line {number}, is no round of a soak; name another --log") from None
                whole += len(line)
        os.truncate(self.path, whole)

    def _add(self, record: dict[str, Any]) -> None:
        if "totals" in record:
            self.sums = {name: Sums(**sums) for name, sums in record["totals"].items()}
        else:
            self.sums.setdefault(record["design"], Sums()).add(record)

    def append(self, record: dict[str, Any]) -> None:
        """Write a round; begin a new log when this one has become too large."""
        self._add(record)
        self._write(self.path, "a", record)
        if self.path.stat().st_size > self.most_bytes:
            new = self.path.with_name(self.path.name + ".new")
            self._write(new, "w", {"totals": {name: asdict(sums) for name, sums in self.sums.items()}})
            shutil.copyfile(self.path, self.path.with_name(self.path.name + ".1"))
            os.replace(new, self.path)  # at no moment is there a log without the totals
            click.echo(f"{self.path} was full: it is {self.path}.1 now, and what was there before is gone")

    @staticmethod
    def _write(path: Path, mode: str, record: dict[str, Any]) -> None:
        with path.open(mode) as log:
            log.write(json.dumps(record) + "\n")

    def summary(self) -> str:
        """Return a table by design."""
        rows = [(name, s.rounds, s.operations, s.seconds, s.failures) for name, s in sorted(self.sums.items())]
        headers = ("design", "rounds", "operations", "seconds", "failures")
        return str(tabulate(rows, headers=headers, intfmt=",", floatfmt=",.0f"))
