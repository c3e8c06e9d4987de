"""A counterexample as a trace for ui.perfetto.dev: a track for each CPU, and flows from a write to what saw it."""

from __future__ import annotations

from typing import Any

from stress.explore.counterexample.history import History, Move
from stress.explore.counterexample.slicing import deciding
from stress.report.trace_events import Event, flow, instant, named, slice_of, trace_file

STEP = 1000.0
"""Microseconds that a step takes in the picture: it has no time of its own, only an order."""


def perfetto(found: History) -> str:
    """The text of a trace file of a counterexample.

    >>> Path("found.json").write_text(perfetto(history(model, violation)))
    """
    design, check, cpus = found.model.design.name, found.violation.check, len(found.model.workload.cpus)
    kept = deciding(found)
    events = named(f"{design}: {check} breaks", [f"CPU {cpu}" for cpu in range(cpus)])
    events += _operations(found)
    events += [_step(move, move.number in kept) for move in found.moves]
    number = 0
    for move in found.moves:
        for access in move.reads():
            writer = move.seen[access.word]
            if writer and found.moves[writer - 1].cpu != move.cpu:
                number += 1
                events += flow(number, access.name, _middle(found.moves[writer - 1]), _middle(move))
    last = found.moves[-1].cpu if found.moves else 0
    events.append(instant(last + 1, f"{check} breaks", len(found.moves) * STEP, wrong=found.found.wrong))
    return trace_file(events, {"design": design, "workload": str(found.model.workload), "check": check})


def _middle(move: Move) -> tuple[int, float]:
    return move.cpu + 1, (move.number - 0.5) * STEP


def _operations(found: History) -> list[Event]:
    """A slice for each operation, around its steps."""
    events = []
    for cpu in range(len(found.model.workload.cpus)):
        mine = [move for move in found.moves if move.cpu == cpu and not move.drains]
        for place in dict.fromkeys(move.place for move in mine):
            steps = [move for move in mine if move.place == place]
            end = steps[-1].number if steps[-1].ends else len(found.moves)
            begin = (steps[0].number - 1) * STEP
            events.append(
                slice_of(cpu + 1, steps[0].operation, "operation", begin, end * STEP, ended=steps[-1].ends)
            )
    return events


def _step(move: Move, decides: bool) -> Event:
    values: dict[str, Any] = {"number": move.number, "decides": decides}
    values |= {access.name: access.change() for access in move.accesses}
    values |= {f"note {i}": note for i, note in enumerate(move.notes, 1)}
    if move.broken:
        values["breaks"] = ", ".join(move.broken)
    name = "the store buffer writes" if move.drains else move.step
    return slice_of(move.cpu + 1, name, "step", (move.number - 1) * STEP, move.number * STEP, **values)
