"""A counterexample as a sequence diagram of Mermaid, for slides and for Markdown that shows such diagrams."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from stress.explore.counterexample.history import History, Move
from stress.explore.counterexample.slicing import conflicts, deciding

_INSTEAD = str.maketrans(";#<>{}%`", ",\uff03\u2039\u203a()\uff05'")
"""Characters that mean something to Mermaid, and what is written in their place: not all that draw it know entities."""
WIDTH = 48
"""Letters of a line in a note."""


def mermaid(found: History) -> str:
    """The text of a diagram: the steps that the broken check depends on, and who saw whose writes.

    >>> print(mermaid(history(model, violation)))
    sequenceDiagram
        ...
    """
    return "\n".join(_lines(found)) + "\n"


def _lines(found: History) -> Iterator[str]:
    kept = deciding(found) | {move.number for move in found.moves if move.begins}
    told = conflicts(found)[:1]
    pair = {told[0].first.number, *([] if told[0].ahead else [told[0].second.number])} if told else set()
    cpus = range(len(found.model.workload.cpus))
    yield "sequenceDiagram"
    yield f"    title {_text(f'{found.model.design.name}: {found.violation.check} breaks')}"
    for cpu in cpus:
        yield f"    participant C{cpu} as CPU {cpu}"
    everybody = f"C{cpus[0]}" if len(cpus) == 1 else f"C{cpus[0]},C{cpus[-1]}"
    if found.prepared:
        yield f"    Note over {everybody}: beforehand: {_note(', '.join(p.operation for p in found.prepared))}"
    left = 0
    for move in found.moves:
        if move.number not in kept and move.number not in pair:
            left += 1
            continue
        if left:
            yield f"    Note over {everybody}: {left} step{'s' * (left != 1)} without influence"
            left = 0
        yield from _seen(found, move, kept)
        step = "the store buffer writes" if move.drains else move.step
        lines = [f"{move.number} {step}", *(a.says() for a in move.accesses if a.writes or move.number in pair)]
        if move.begins:
            lines.insert(0, f"[{move.operation}]")
        if move.number in pair:
            lines.append("CONFLICT")
        yield f"    Note over C{move.cpu}: {_note(*lines)}"
    if left:
        yield f"    Note over {everybody}: {left} step{'s' * (left != 1)} without influence"
    if told and told[0].ahead:
        late = told[0].second
        yield f"    Note over C{late.cpu}: {_note(f'too late: {late.step}')}"
    yield f"    Note over {everybody}: {_note(f'{found.violation.check}: {found.found.wrong}')}"


def _seen(found: History, move: Move, kept: frozenset[int]) -> Iterator[str]:
    """An arrow from each other CPU whose write this step saw."""
    for access in move.reads():
        writer = move.seen[access.word]
        if writer in kept and found.moves[writer - 1].cpu != move.cpu:
            yield f"    C{found.moves[writer - 1].cpu}->>C{move.cpu}: {_text(f'{access.name} of step {writer}')}"


def _note(*lines: str) -> str:
    return "<br/>".join(part for line in lines for part in wrap(_text(line), WIDTH))


def _text(text: str) -> str:
    return " ".join(text.replace("->", "\u2192").split()).translate(_INSTEAD)
