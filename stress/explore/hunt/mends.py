"""What mends a design: one correction for each of its faults, where they are known."""

from __future__ import annotations

from stress import designs
from stress.design import Design
from stress.designs import v12_sound
from stress.designs.parts.correction import Change, Correction
from stress.program import Program


def mends_of(design: Design) -> tuple[Correction, ...]:
    """Return the corrections that make a design sound together, one for each fault; none where they are not known.

    Of V12 as posted they are those of `v12_sound`. Of an edit of another design it is one: to undo it.
    """
    known = {"v12": v12_sound.CORRECTIONS, "v12_reviewed": v12_sound.FURTHER}
    if design.name in known and design == designs.get(design.name):
        return known[design.name]
    if len(design.edits) != 1 or design.base not in designs.names():
        return ()
    base = designs.get(design.base)
    changed = {name: p for name, p in design.programs.items() if p != base.programs.get(name)}
    if not changed or not changed.keys() <= base.programs.keys():
        return ()
    edit = design.edits[0]
    return (Correction(f"without {edit.name}", edit.why, {name: _as_in(base, name) for name in changed}),)


def _as_in(base: Design, name: str) -> Change:
    def undo(_: Program) -> Program:
        return base.programs[name]

    return undo
