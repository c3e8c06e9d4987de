"""A file of SQLite that keeps what commands print with --json, run by run.

Each object goes in with a transaction of its own, so that a run which is killed keeps what it had, and a disk that is
full takes nothing away. Several runs may write to one file at a time: they wait for each other.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shm_layout.errors import MachineError, UsageError

WAIT = 60.0
"""Seconds that a writer waits for others, at most."""
_ABOUT = ("date", "command", "version", "seed", "kernel")
_TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    run INTEGER PRIMARY KEY, date TEXT, command TEXT, version TEXT, seed INTEGER, kernel TEXT, machine TEXT
);
CREATE TABLE IF NOT EXISTS objects (
    run INTEGER REFERENCES runs, number INTEGER, object TEXT, PRIMARY KEY (run, number)
);
"""


@dataclass(frozen=True)
class Run:
    """One run of a command: its number in the file, what its output says ``about`` it, and the objects it printed."""

    number: int
    about: Mapping[str, Any]
    objects: tuple[Mapping[str, Any], ...]

    @property
    def command(self) -> str:
        """The command as it was typed."""
        return str(self.about.get("command") or "")


class Store:
    """A file with the results of runs.

    >>> import tempfile
    >>> store = Store(Path(tempfile.mkdtemp()) / "r.sqlite")
    >>> run = store.begin({"command": "pte-stress rss", "version": "1"})
    >>> store.add(run, {"worst": 3})
    >>> [(r.command, r.objects) for r in store.runs()]
    [('pte-stress rss', ({'worst': 3},))]
    """

    def __init__(self, path: Path) -> None:
        """Name the file, which is made with the first run."""
        self.path = path

    @contextmanager
    def _open(self, *, write: bool) -> Iterator[sqlite3.Connection]:
        if not write and not self.path.is_file():
            raise UsageError(f"{self.path}: no such file; a command with --results {self.path} makes it")
        try:
            with closing(sqlite3.connect(self.path, timeout=WAIT)) as connection, connection:
                if write:
                    connection.execute("BEGIN IMMEDIATE")
                    for table in _TABLES.split(";"):
                        connection.execute(table)
                yield connection
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and "no such table" not in str(error):
                raise MachineError(f"{self.path}: {error}; what was kept before is kept") from None
            raise UsageError(f"{self.path} is no file of results: {error}") from None

    def begin(self, about: Mapping[str, Any]) -> int:
        """Add a run that has no objects yet; returns its number."""
        return self.add_all(about, ())

    def add(self, run: int, found: Mapping[str, Any]) -> None:
        """Add an object to a run."""
        with self._open(write=True) as file:
            file.execute(
                "INSERT INTO objects SELECT ?, coalesce(max(number), 0) + 1, ? FROM objects WHERE run = ?",
                (run, json.dumps(found), run),
            )

    def add_all(self, about: Mapping[str, Any], found: Iterable[Mapping[str, Any]]) -> int:
        """Add a run with all its objects, or nothing of it; returns its number."""
        with self._open(write=True) as file:
            row = file.execute(
                "INSERT INTO runs (date, command, version, seed, kernel, machine) VALUES (?, ?, ?, ?, ?, ?)",
                (*(about.get(name) for name in _ABOUT), json.dumps(about.get("machine"))),
            )
            run = int(row.lastrowid or 0)
            rows = [(run, number, json.dumps(each)) for number, each in enumerate(found, 1)]
            file.executemany("INSERT INTO objects VALUES (?, ?, ?)", rows)
            return run

    def runs(self) -> list[Run]:
        """Return all runs, in the order in which they began."""
        with self._open(write=False) as file:
            objects: dict[int, list[Mapping[str, Any]]] = {}
            for run, text in file.execute("SELECT run, object FROM objects ORDER BY run, number"):
                objects.setdefault(run, []).append(json.loads(text))
            found = []
            for run, *words, machine in file.execute(
                "SELECT run, date, command, version, seed, kernel, machine FROM runs ORDER BY run"
            ):
                about = dict[str, Any](zip(_ABOUT, words, strict=True))
                about["machine"] = json.loads(machine)
                found.append(Run(run, about, tuple(objects.get(run, ()))))
            return found
