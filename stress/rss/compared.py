"""One line of the comparison: what is known of a counter, and whether it keeps its promise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from stress.report.published import PUBLISHED_RSS
from stress.rss.accuracy import Accuracy
from stress.rss.cost import Cost
from stress.rss.explored import Explored
from stress.rss.subjects import Subject


@dataclass
class Compared:
    """A counter and what was measured of it so far: None for what was not."""

    subject: Subject
    cpus: int
    threads: int
    accuracy: Accuracy | None = None
    explored: Explored | None = None
    cost: Cost | None = None

    @property
    def ok(self) -> bool | None:
        """Whether a counter that promises a bound kept it here and in every interleaving, and none was negative.

        None while that is not known.
        """
        if self.accuracy is None or self.explored is None:
            return None
        if self.subject.bound.pages(self.cpus, self.threads, self.accuracy.batch) is None:
            return self.accuracy.negative == 0
        return self.accuracy.within and self.explored.complete and not self.explored.violations

    def as_object(self) -> dict[str, Any]:
        """Return the counter for JSON: null where a figure does not apply."""
        accuracy, cost, explored = self.accuracy, self.cost, self.explored
        return {
            "name": self.subject.name,
            "year": self.subject.design.year,
            "bound_pages": accuracy and accuracy.bound,
            "worst_error_pages": accuracy and accuracy.worst,
            "median_error_pages": accuracy and accuracy.median,
            "rest_error_pages": accuracy and max(accuracy.filled, accuracy.rest),
            "update_ns": cost and round(cost.update, 2),
            "update_contended_ns": cost and cost.contended and round(cost.contended, 2),
            "read_ns": cost and {str(size): round(ns, 2) for size, ns in cost.reads.items()},
            "precise_read_ns": cost and cost.precise and round(cost.precise, 2),
            **({"spread": {_key(name): runs.as_json() for name, runs in cost.runs.items()}} if cost else {}),
            "bytes_per_mm": self.subject.bytes_per_mm(self.cpus, self.threads),
            "explored": explored
            and {
                "complete": explored.complete,
                "states": explored.states,
                "violations": list(explored.violations),
            },
            "ok": self.ok,
        }

    def accuracy_row(self) -> dict[str, Any]:
        """Return the counter's line in the table of errors, pages."""
        accuracy = self.accuracy
        return {
            "counter": self.subject.name,
            "year": str(self.subject.design.year),
            "bound": self.subject.bound.formula,
            "pages": accuracy and accuracy.bound,
            "worst": accuracy and accuracy.worst,
            "median": accuracy and accuracy.median,
            "at rest": accuracy and max(accuracy.filled, accuracy.rest),
            "published": PUBLISHED_RSS.get(self.subject.name),
        }

    def verdict_row(self) -> dict[str, Any]:
        """Return the counter's line in the table of what the explorer found, and whether it keeps its promise."""
        explored = self.explored
        verdict = None
        if explored is not None:
            verdict = "breaks " + ", ".join(explored.violations) if explored.violations else "holds"
        return {
            "counter": self.subject.name,
            "states": explored and explored.states,
            "all": explored and ("yes" if explored.complete else "no"),
            "explored": verdict,
            "kept": None if self.ok is None else "yes" if self.ok else "NO",
        }

    def change_row(self, atomic: Cost | None) -> dict[str, Any]:
        """Return the counter's line in the table of what a change costs, ns; ratios to ``atomic``."""
        cost = self.cost
        row: dict[str, Any] = {"counter": self.subject.name}
        if cost is None:
            return row
        row["change"] = cost.update
        row["of atomic"] = atomic and cost.update / atomic.update
        row["of bare"] = cost.overhead
        row["all cores"] = cost.contended
        row["of atomic, all"] = atomic and atomic.contended and cost.contended and cost.contended / atomic.contended
        return row

    def spread_rows(self, atomic: Cost | None) -> list[dict[str, Any]]:
        """The rounds of each cost of the counter, ns; and whether a change costs less than one of ``atomic``."""
        rows = []
        for name in ("update", "contended") if self.cost else ():
            runs = self.cost.runs.get(name) if self.cost else None
            theirs = atomic.runs.get(name) if atomic and atomic is not self.cost else None
            if runs:
                what = f"{self.subject.name}, {'change' if name == 'update' else 'all cores'}"
                rows.append(runs.row(what, theirs.above(runs) if theirs else None))
        return rows

    def read_row(self) -> dict[str, Any]:
        """Return the counter's line in the table of what a read costs, ns, and what it takes in memory."""
        row: dict[str, Any] = {"counter": self.subject.name}
        if self.cost is not None:
            row |= {f"read, {size}": ns for size, ns in self.cost.reads.items()}
            row["precise"] = self.cost.precise
        row["bytes/mm"] = self.subject.bytes_per_mm(self.cpus, self.threads)
        return row


def _key(name: str) -> str:
    """A figure's name as a key: ``read_16``."""
    return name.replace(" ", "_")


ROUNDS = 20
"""Rounds in which costs are measured."""


class Part(Enum):
    """The parts of a comparison, in the order in which all lines have them."""

    ACCURACY = "accuracy"
    COST = "cost"
    EXPLORED = "explored"


def compare(lines: Sequence[Compared], *, cores: int, updates: int, hop: bool, seed: int) -> Iterator[Part]:
    """Measure everything and enter it into the lines; yields each part as soon as all of them have it.

    What is compiled is compiled for each part when its turn comes, so that the first one comes early. Lines keep what
    they have when this is interrupted.
    """
    from stress.compiling.beside import compile_all
    from stress.report.progress import steps_shown
    from stress.rss import loop_source, working
    from stress.rss.accuracy import measure_accuracy, workers_for
    from stress.rss.cost import measure_cost
    from stress.rss.explored import explore_design

    subjects = [line.subject for line in lines]
    library = [subject for subject in subjects if not subject.own]

    def explore(some: Sequence[Compared]) -> None:
        for line in steps_shown(some, "exploring", len(some)):
            line.explored = explore_design(line.subject.design)

    # The user's steps are held against the rules of steps before workers run them at full speed.
    explore([line for line in lines if line.subject.own])
    ahead = [task for subject in library for task in loop_source.missing_fragments(subject)]
    compile_all([*working.missing_work(), *ahead], "the counters")
    for line in steps_shown(lines, "counting", len(lines)):
        line.accuracy = measure_accuracy(
            line.subject,
            cpus=line.cpus,
            threads=line.threads,
            workers=workers_for(line.cpus, line.threads, cores),
            updates=updates,
            hop=hop,
            seed=seed,
        )
    yield Part.ACCURACY
    compile_all([task for subject in library for task in loop_source.missing_loops(subject)], "loops to be timed")
    first = lines[0]
    costs = measure_cost(subjects, cpus=first.cpus, threads=first.threads, cores=cores, rounds=ROUNDS)
    for line in lines:
        line.cost = costs[line.subject.name]
    yield Part.COST
    explore([line for line in lines if not line.subject.own])
    yield Part.EXPLORED
