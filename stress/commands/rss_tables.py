"""The tables that `pte-stress rss` prints, each as soon as what stands in it was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from stress.report.fitted import fitted, fitted_text
from stress.rss.compared import Compared, Part
from stress.rss.cost import Cost
from stress.system.load import Load


@dataclass
class Tables:
    """The tables of a comparison of counters on so many cores, in a style of tabulate's."""

    lines: Sequence[Compared]
    cores: int
    style: str
    left: list[Part] = field(default_factory=lambda: list(Part))
    """The parts that were not printed yet."""

    def head(self, hop: bool, updates: int, seed: int) -> None:
        """Print what is compared, and how."""
        first = self.lines[0]
        how = "hopping" if hop else "staying on their CPUs"
        what = f"{first.cpus} virtual CPUs, {first.threads} threads, workers {how}"
        click.echo(fitted_text(f"{what}, {updates:,} changes of each; seed {seed}"))

    def print(self, part: Part) -> None:
        """Print the tables of a part; what was not measured is `-`."""
        self.left.remove(part)
        if part is Part.ACCURACY:
            self._print("Errors in pages (of 4 KiB in what is published)", [line.accuracy_row() for line in self.lines])
        elif part is Part.EXPLORED:
            title = "What the explorer found on small machines, and whether the counter keeps its promise"
            self._print(f"\n{title}", [line.verdict_row() for line in self.lines])
        else:
            self._print_costs()

    def rest(self, load: Load) -> None:
        """Print the parts that are left, and how busy the machine was."""
        for part in [*self.left]:
            self.print(part)
        click.echo(fitted_text(str(load)))

    def _print_costs(self) -> None:
        atomic: Cost | None = next((line.cost for line in self.lines if line.subject.name == "atomic"), None)
        changes = [line.change_row(atomic) for line in self.lines]
        self._print(f"\nNanoseconds a change; contention is that of {self.cores} cores", changes)
        spreads = [row for line in self.lines for row in line.spread_rows(atomic)]
        if spreads:
            self._print("\nNanoseconds of each round; whether it is cheaper than atomic is shown", spreads)
        self._print("\nNanoseconds a read, by CPUs and tasks", [line.read_row() for line in self.lines])

    def _print(self, title: str, rows: list[dict[str, Any]]) -> None:
        click.echo(f"{title}:")
        click.echo(fitted(rows, style=self.style, intfmt=",", floatfmt=".2f", missingval="-"))
