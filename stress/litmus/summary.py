"""What came of many tests: counts, and what differs from what was expected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from stress.litmus.expected import expected_of
from stress.litmus.outcomes import Outcomes
from stress.report.fitted import fitted


class Summary:
    """Counts of verdicts, and tests whose verdict differs from the one expected of them."""

    def __init__(self, expected: Mapping[str, str] | None = None) -> None:
        """Begin without tests. ``expected``: verdicts by the names of tests."""
        self.expected = expected
        self.verdicts: Counter[str] = Counter()
        self.refused: list[str] = []
        self.differing: list[tuple[str, str, str]] = []
        """Name, verdict expected, verdict found."""
        self.forbidden = 0
        """Instances that a run on this machine saw in states which x86-TSO forbids."""
        self._met: set[str] = set()

    @property
    def read(self) -> int:
        """Tests that could be read."""
        return self.verdicts.total()

    def refuse(self, reason: str) -> None:
        """Note a test that is not supported."""
        self.refused.append(reason)

    def note(self, found: Outcomes, forbidden: int = 0) -> str | None:
        """Note a test, and the instances in forbidden states. Return the verdict that was expected, if it differs."""
        self.forbidden += forbidden
        verdict = found.observation or "Undecided"
        self.verdicts[verdict] += 1
        row = expected_of(self.expected, found.test.file, found.test.name) if self.expected else None
        if row is not None:
            self._met.add(row[0])
            if found.observation is not None and found.observation != row[1]:
                self.differing.append((found.test.name, row[1], verdict))
                return row[1]
        return None

    def text(self, table_format: str) -> str:
        """Return a table of the counts, and one of what differs."""
        parts = [fitted(self.counts(), ("verdict", "tests"), style=table_format)]
        if self.expected is not None:
            if self.differing:
                parts.append(fitted(self.differing, ("test", "expected", "found"), style=table_format))
            parts.append(self.compared())
        return "\n\n".join(parts)

    def counts(self) -> list[tuple[str, int]]:
        """Return how many tests had each verdict, and how many are not supported."""
        rows = [(v, n) for v in ("Never", "Sometimes", "Always", "Undecided") if (n := self.verdicts[v])]
        return [*rows, ("not supported", len(self.refused))] if self.refused else rows

    def compared(self) -> str:
        """Say how many verdicts were compared with expected ones, and how many differ; "" where none was expected."""
        if self.expected is None:
            return ""
        compared = f"{len(self._met)} of {len(self.expected)} expected verdicts compared"
        return f"{compared}, {len(self.differing)} differ"
