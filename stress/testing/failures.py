"""What a test of a design fails with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path


class CheckBroken(AssertionError):
    """Checks that do not hold. The message says which, and what led there."""

    def __init__(
        self, said: str, broken: Sequence[str], steps: Sequence[str] = (), saves: Callable[[Path], None] | None = None
    ) -> None:
        """``broken``: names of checks; ``steps``: the calls of a pool that led there; ``saves`` writes it to a file."""
        self.broken = tuple(broken)
        self.steps = tuple(steps)
        self._saves = saves
        super().__init__(said)

    def save(self, path: Path) -> None:
        """Write it to a file: one for `pte-stress replay` where the explorer found it, else the message."""
        if self._saves is not None:
            self._saves(path)
        else:
            path.with_suffix(".txt").write_text(f"{self}\n", encoding="utf-8")


class NotExplored(AssertionError):
    """A bound ended an exploration before every state was visited: whether the checks hold is not known."""
