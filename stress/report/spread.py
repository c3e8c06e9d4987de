"""How far the runs of a measured figure lie apart, and what may be concluded from two of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

YES, NO, NOT_HERE = "yes", "no", "not measurable here"
"""Whether a difference is shown."""
MOST_PAIRS = 0.9
"""Share of the pairs of runs, one of each figure, that must lie in the same order for it to be shown."""
LEAST_RUNS = 3


@dataclass(frozen=True)
class Spread:
    """The runs of one figure, in any order."""

    runs: tuple[float, ...]

    @classmethod
    def of(cls, runs: Iterable[float]) -> Spread:
        """Keep the runs, at least one."""
        return cls(tuple(runs))

    @property
    def median(self) -> float:
        """The one in the middle."""
        return median(self.runs)

    def as_json(self) -> dict[str, float]:
        """Runs, median, minimum and maximum, to four digits.

        >>> Spread.of([1.0, 3.0, 2.0]).as_json()
        {'runs': 3, 'median': 2.0, 'min': 1.0, 'max': 3.0}
        """
        figures = {"median": self.median, "min": min(self.runs), "max": max(self.runs)}
        return {"runs": len(self.runs), **{name: rounded(value) for name, value in figures.items()}}

    def row(self, figure: str, shown: str | None = None) -> dict[str, float | str | None]:
        """A row of a table. ``shown``: what is concluded from it, None for nothing."""
        return {"figure": figure, **self.as_json(), "shown": shown}

    def above(self, other: Spread) -> str:
        """Whether this figure is larger than another: `YES`, `NO`, or `NOT_HERE` where their runs overlap too far.

        >>> Spread.of([5, 6, 7]).above(Spread.of([1, 2, 3]))
        'yes'
        """
        if min(len(self.runs), len(other.runs)) < LEAST_RUNS:
            return NOT_HERE
        larger = sum((a > b) + (a == b) / 2 for a in self.runs for b in other.runs)
        share = larger / (len(self.runs) * len(other.runs))
        return YES if share >= MOST_PAIRS else NO if share <= 1 - MOST_PAIRS else NOT_HERE


    def against(self, other: Spread) -> str:
        """Say how large this figure is as a share of another, and whether that they differ is shown.

        The runs of both are taken to be turns, one beside the other.

        >>> Spread.of([5, 6, 7]).against(Spread.of([2, 2, 2]))
        '3.00 (2.50 to 3.50 in 3 turns: larger)'
        """
        turns = sorted(a / b for a, b in zip(self.runs, other.runs, strict=True))
        shown = {YES: "larger", NO: "smaller", NOT_HERE: "no difference is measurable here"}[self.above(other)]
        return f"{median(turns):.2f} ({turns[0]:.2f} to {turns[-1]:.2f} in {len(turns)} turns: {shown})"


def rounded(value: float) -> float:
    """A figure to four digits."""
    return float(f"{value:.4g}")
