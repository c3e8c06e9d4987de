"""N11: an atomic count is moved to a per-CPU counter while others still add to it."""

from __future__ import annotations

from stress.design import Design
from stress.designs.atomic_until_thread import DESIGN, LEFT
from stress.designs.parts.correction import Change, Correction
from stress.findings.finding import Case, Finding


def _as_posted(d: Design) -> Design:
    changed = [name for name, program in DESIGN.programs.items() if program != d.programs[name]]
    return Correction("N11 as posted", "", {name: _moving(name) for name in changed}).apply(d)


def _moving(name: str) -> Change:
    return lambda _: DESIGN.programs[name]


FINDING = Finding(
    id="N11",
    title="the start of a second task moves a count that others still change",
    point=(
        "atomic_until_thread counts atomically on the mm while it has one task. The start of the second moves the "
        "count to a per-CPU counter under its lock, and sets the flag that says so. ptrace or vmscan, which found no "
        "flag before, adds to the word that has been moved, and the count is lost. Mend: leave the atomic count where "
        "it is, and let every sum add it."
    ),
    edit="the count is moved, and the sums take the one that counts from then on",
    as_posted=_as_posted,
    case=Case("fork || clone | access_process_vm 0 w mm=1"),
    check="rss_exact",
    sound=lambda: LEFT,
    shipped="atomic_until_thread",
)
