"""What `pte-stress litmus` does with each test: here, in another process, or on a worker of a cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shm_layout.errors import UsageError

if TYPE_CHECKING:
    from stress.litmus.machine_run.seen import Seen
    from stress.litmus.outcomes import Bounds, Outcomes

STANDARD_INPUT = "-"
RUN_SECONDS = 3.0
"""Time of a run on this machine, unless --seconds says otherwise."""
WANTED = "name litmus files, folders with some, or - for standard input"
MOST_TOGETHER = 16
"""Tests that one process of a worker searches, at most."""


def text_of(file: str) -> str | UsageError:
    """Return what a litmus file holds, or why it cannot be read."""
    from stress.system.text_file import MOST_BYTES, read_text

    try:
        if file != STANDARD_INPUT:
            return read_text(Path(file), WANTED)
        return sys.stdin.buffer.read(MOST_BYTES).decode()
    except UsageError as error:
        return error
    except ValueError:
        return UsageError(f"standard input is no text: {WANTED}")


@dataclass(frozen=True)
class Refused:
    """A test that cannot be read or searched: its name, and why."""

    name: str
    why: str


Told = tuple["Outcomes", "Seen | None"] | Refused


@dataclass
class Search:
    """Reads a test and searches it, here or in another process, which shows nothing of how far it has come."""

    memory: str
    options: dict[str, Any]
    given: list[str]
    show: Callable[[Callable[[], str]], None] | None

    def __getstate__(self) -> dict[str, Any]:
        """Return what goes to another process."""
        return {**vars(self), "show": None, "given": []}

    def __call__(self, file: str) -> Told:
        """Return what was found of the test in a file."""
        return self.of_text(text_of(file), file)

    def of_text(self, text: str | UsageError, file: str) -> Told:
        """Return what was found of a test, or why nothing was."""
        from stress.litmus.reading import name_of

        if isinstance(text, UsageError):
            return Refused(name_of("", file), str(text))
        try:
            return self._found(text, file)
        except UsageError as error:
            return Refused(name_of(text, file), str(error))

    def _found(self, text: str, file: str) -> tuple[Outcomes, Seen | None]:
        from stress.litmus.design_source import design_source
        from stress.litmus.outcomes import outcomes
        from stress.litmus.promela import promela
        from stress.litmus.reading import read_test
        from stress.system.writing import write_file

        def progress(visited: int) -> None:
            if self.show is not None:
                self.show(lambda: f"{self.given.index(file) + 1} of {len(self.given)}: {file}, {visited:,} states")

        test = read_test(text, file)
        if self.options["promela"]:
            write_file("--promela", self.options["promela"], promela(test, self.memory).encode())
        if self.options["design"]:
            write_file("--design", self.options["design"], design_source(test, text).encode())
        bounds = self._bounds()
        found = outcomes(test, self.memory, bounds, progress)
        if not self.options["on_machine"]:
            return found, None
        from stress.litmus.machine_run.run import run

        model = found if self.memory == "tso" else outcomes(test, "tso", bounds, progress)
        return found, run(model, self.options["seconds"] or RUN_SECONDS, self.options["seed"])

    def _bounds(self) -> Bounds:
        from stress.litmus.outcomes import Bounds

        bounds = Bounds()
        seconds = self.options["seconds"] if not self.options["on_machine"] else None
        memory = self.options["max_memory"]
        return Bounds(
            seconds or bounds.seconds,
            self.options["max_states"] or bounds.states,
            memory << 20 if memory else bounds.memory,
        )


@dataclass(frozen=True)
class Texts:
    """Files, and what they hold or why they cannot be read, to be searched by one process of a worker."""

    search: Search
    files: tuple[tuple[str, str | UsageError], ...]


def search_texts(texts: Texts) -> list[Told]:
    """On a worker: search tests, one after the other."""
    return [texts.search.of_text(text, file) for file, text in texts.files]


Result = tuple[str, Callable[[], Told]]
"""A file, and what gives what was found of its test."""


@contextmanager
def by_cluster(address: str, jobs: int | None, search: Search, given: list[str]) -> Iterator[Iterator[Result]]:
    """Have the workers of a cluster search tests; gives the results in the order of the files."""
    from stress.cluster.connecting import connected
    from stress.cluster.shards import Shards

    with connected(address, jobs) as cluster:
        shards: Shards[Texts, list[Told]] = Shards(cluster, search_texts)
        together = max(min(len(given) // (4 * cluster.slots), MOST_TOGETHER), 1)

        def texts() -> Iterator[Texts]:
            waiting = iter(given)
            while files := list(islice(waiting, together)):
                yield Texts(search, tuple((file, text_of(file)) for file in files))

        def results() -> Iterator[Result]:
            for item, result in shards.in_order(texts()):
                for number, (file, _) in enumerate(item.files):
                    yield file, partial(_nth, result, number)

        yield results()


def _nth(result: Callable[[], list[Told]], number: int) -> Told:
    return result()[number]
