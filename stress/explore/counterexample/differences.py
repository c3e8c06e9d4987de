"""Where the programs of two designs differ, operation by operation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from stress.design import Design

AROUND = 3
"""Lines that are shown in front of a difference and behind it."""


@dataclass(frozen=True)
class Line:
    """A line of two programs laid over each other.

    ``sign``: ``-`` for what stands in the broken program alone, ``+`` for the mended one alone, else a blank. ``text``:
    the entry. ``place``: which entry of the broken program it is, None for one of the mended program alone.
    """

    sign: str
    text: str
    place: int | None


def laid_over(broken: Sequence[str], mended: Sequence[str]) -> list[Line]:
    """Every line of two programs, given by the names of their entries, in order."""
    lines: list[Line] = []
    matcher = SequenceMatcher(None, broken, mended, autojunk=False)
    for tag, first, end, first_mended, end_mended in matcher.get_opcodes():
        sign = " " if tag == "equal" else "-"
        lines += [Line(sign, broken[i], i) for i in range(first, end)]
        if tag != "equal":
            lines += [Line("+", text, None) for text in mended[first_mended:end_mended]]
    return lines


@dataclass(frozen=True)
class Difference:
    """The same difference in the programs of some operations; ``lines`` has what stands around it, too."""

    operations: tuple[str, ...]
    lines: tuple[Line, ...]


def differences(broken: Design, mended: Design) -> list[Difference]:
    """Where the operations that both designs have differ; those that differ in the same lines are named together."""
    found: dict[tuple[Line, ...], list[str]] = {}
    for name, program in broken.programs.items():
        if name in mended.programs and program != mended.programs[name]:
            lines = tuple(_near(laid_over(program.names(), mended.programs[name].names())))
            key = tuple(Line(line.sign, line.text, None) for line in lines)
            found.setdefault(key, []).append(name)
    return [Difference(tuple(names), lines) for lines, names in found.items()]


def _near(lines: Sequence[Line]) -> Iterator[Line]:
    """The lines that differ, with some around them; ``...`` stands for those between."""
    shown = {j for i, line in enumerate(lines) if line.sign != " " for j in range(i - AROUND, i + AROUND + 1)}
    before = -1
    for i, line in enumerate(lines):
        if i in shown:
            if before + 1 < i:
                yield Line(" ", "...", None)
            before = i
            yield line
    if before + 1 < len(lines):
        yield Line(" ", "...", None)
