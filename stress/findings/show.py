"""Showing a finding: exploring its workload on the designs that it is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from stress import designs
from stress.design import Design
from stress.explore import Bounds, Result, explore
from stress.findings.finding import Case, Finding
from stress.findings.missing_barrier import missing_barrier

Explore = Callable[..., Result]


@dataclass(frozen=True)
class Shown:
    """A finding with what the explorer says of it.

    ``memory``: the memory model that it was explored under. ``posted`` and ``corrected``: the pair. ``v12``: the patch
    set as posted, or the one that the finding names in its place; None for an equivalence, for what only a weaker
    memory model shows, and where the finding names none. ``harmless``: the design as posted on each case where the
    fault cannot strike. ``wrong``: why the finding is not shown, one sentence each; empty when it is.
    """

    finding: Finding
    memory: str
    posted: Result
    corrected: Result
    v12: Result | None
    harmless: tuple[Result, ...]
    wrong: tuple[str, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to another process without designs, whose edits are functions: there they are made once more."""
        results = (self.posted, self.corrected, self.v12, *self.harmless)
        bare = [None if result is None else _of(result, None) for result in results]
        return _again, (self.finding.id, self.memory, bare, self.wrong)

    @property
    def ok(self) -> bool:
        """The finding is shown: broken as posted, sound when corrected, explored completely."""
        return not self.wrong


def _of(result: Result, design: Any) -> Result:
    return replace(result, design=design)


def _again(identifier: str, memory: str, bare: list[Any], wrong: tuple[str, ...]) -> Shown:
    """Return what was shown of a finding in another process, from results without designs."""
    from stress.findings import get

    finding = get(identifier)
    posted, corrected, v12, *harmless = bare
    return Shown(
        finding,
        memory,
        _of(posted, finding.posted()),
        _of(corrected, finding.corrected()),
        None if v12 is None else _of(v12, designs.get(str(finding.shipped))),
        tuple(_of(result, finding.posted()) for result in harmless),
        wrong,
    )


def show(finding: Finding, bounds: Bounds | None = None, memory: str | None = None) -> Shown:
    """Explore a finding with every check on, under a memory model; None: the strongest under which it shows."""
    under = memory or finding.memory

    def run(design: Design, case: Case) -> Result:
        finals = finding.equivalence
        return explore(design, case.parse(), bounds=bounds, finals=finals, memory=under).as_answer()

    posted = run(finding.posted(), finding.case)
    corrected = run(finding.corrected(), finding.case)
    shipped = None if finding.equivalence or finding.memory != "sc" else finding.shipped
    v12 = None if shipped is None else run(designs.get(shipped), finding.case)
    harmless = tuple(run(finding.posted(), case) for _, case in finding.harmless)
    wrong = [f"corrected, {text}" for text in _not_sound(corrected)]
    if corrected.violations and under != "sc":
        barrier = missing_barrier(finding.corrected(), finding.case.parse(), under, bounds)
        lacks = f"it lacks {barrier}" if barrier else "no single barrier between two steps mends it"
        wrong.append(f"corrected, {lacks}")
    if finding.equivalence:
        wrong += [f"in the other order, {text}" for text in _not_sound(posted)]
        if _pages(finding, posted) != _pages(finding, corrected):
            wrong.append("the sets of final page states differ")
    elif not finding.shows_under(under):
        wrong += [f"as posted, {text} under {under}" for text in _not_sound(posted)]
    else:
        if posted.violation(finding.check) is None:
            wrong.append(f"as posted, {finding.check} holds")
        # The same check: V12 breaks one or another on almost any workload.
        if v12 is not None and v12.violation(finding.check) is None:
            wrong.append(f"{shipped} as posted, {finding.check} holds on the same workload")
    for (where, _), result in zip(finding.harmless, harmless, strict=True):
        wrong += [f"{where}, {text}" for text in _not_sound(result)]
    return Shown(finding, under, posted, corrected, v12, harmless, tuple(wrong))


def _not_sound(result: Result) -> list[str]:
    broken = [f"{v.check} breaks" for v in result.violations]
    return broken if result.complete else [*broken, f"not explored completely: {result.bound}"]


def _pages(finding: Finding, result: Result) -> frozenset[tuple[int, ...]]:
    """Return the final states of all pages: flags, count, mapcount and content of every frame."""
    from shm_layout.layout import Layout
    from shm_layout.placement import PACKED
    from shm_layout.structs import FIRST_WORD

    region = Layout(finding.case.parse().machine, PACKED).regions["page"]
    first, end = region.start - FIRST_WORD, region.end - FIRST_WORD
    return frozenset(tuple(memory[first:end]) for memory, *_ in result.finals or ())
