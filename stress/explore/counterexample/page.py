"""A counterexample as a page for a browser: columns of CPUs, the state beside them, sources, and what went wrong."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from stress.checks import CHECKS
from stress.design import Design
from stress.explore.counterexample.access import Access
from stress.explore.counterexample.differences import differences, laid_over
from stress.explore.counterexample.history import History, Move
from stress.explore.counterexample.slicing import Conflict, conflicts, deciding
from stress.explore.counterexample.state_table import boot_memory, state_tables
from stress.operation import kind_of
from stress.program import ByArch, Program
from stress.report.page import rendered

MOST_CONFLICTS = 3
"""Conflicts that the page tells of."""


def page(
    found: History,
    *,
    command: str,
    title: str = "",
    point: str = "",
    mended: Design | None = None,
    facts: Sequence[tuple[str, str]] = (),
) -> str:
    """A counterexample as one HTML page.

    ``command``: what repeats it. ``title`` and ``point``: what it is about, in a line and in some sentences.
    ``mended``: a design that is like the broken one, with the fault mended. ``facts``: what else there is to say, by
    name.
    """
    design, workload, violation = found.model.design, found.model.workload, found.violation
    memory = found.model.memory_model
    told = conflicts(found)[:MOST_CONFLICTS]
    kept = deciding(found)
    before = [boot_memory(found), *(p.memory for p in found.prepared)] if found.prepared else [found.memories[0]]
    rows = _rows(found, kept, told[0] if told else None)
    tables, words = state_tables(found, [*before, *found.memories[1:]], len(before) - 1)
    pairs = differences(design, mended) if mended else []
    return rendered(
        "counterexample.html",
        title=title or f"{violation.check} breaks in {design.name}",
        kicker=f"Counterexample in {violation.length} steps: design {design.name}",
        command=command,
        check=violation.check,
        holds=CHECKS[violation.check].holds,
        point=point,
        cast=list(_cast(found)),
        story=list(_story(told)),
        wrong=_wrong(found),
        cpus=len(workload.cpus),
        rows=rows,
        minor=sum(bool(row["of_fold"]) for row in rows),
        ahead=[_ahead_row(told[0].second)] if told and told[0].ahead else [],
        filters=_filters(found),
        state=tables,
        differences=[{"operations": ", ".join(d.operations), "lines": list(map(_line, d.lines))} for d in pairs],
        facts=[
            ("Workload", str(workload)),
            ("Machine", f"arch {workload.machine.arch}, {len(workload.cpus)} CPUs"),
            ("Memory model", f"{memory.name}; CPUs keep in order: {memory.keeps}"),
            ("Design", f"{design.name} ({design.year}): {design.summary}"),
            *((f"Edit {edit.name}", edit.why) for edit in design.edits if edit.why),
            *facts,
        ],
        data={
            "first": len(before) - 1,
            "words": words,
            "labels": [row["says"] for row in rows],
            "arrows": _arrows(found, kept),
            "conflict": [_anchor(told[0].first), _anchor(told[0].second, told[0])] if told else [],
            "word": _word(told[0]) if told else None,
            "steps": _sources(found),
            "programs": _programs(found, mended),
            "places": [None] * len(before) + [_place(found, move) for move in found.moves],
        },
    )


def _cast(found: History) -> Iterator[str]:
    """Who does what, in a sentence for each CPU."""
    said: set[str] = set()
    if found.prepared:
        by = ", then ".join(
            f"CPU {p.cpu} performs {p.operation!r}{_means(p.operation.split()[0], said)}" for p in found.prepared
        )
        yield f"Beforehand: {by}."
    for cpu, operations in enumerate(found.model.workload.cpus):
        if operations:
            performs = ", then ".join(f"{str(o)!r}{_means(o.name, said)}" for o in operations)
            yield f"CPU {cpu} performs {performs}."


def _means(operation: str, said: set[str]) -> str:
    """What an operation is, in brackets, the first time that it is named."""
    summary = kind_of(operation).summary
    first = operation not in said
    said.add(operation)
    return f" ({summary})" if summary and first else ""


def _story(told: Sequence[Conflict]) -> Iterator[str]:
    for number, conflict in enumerate(told):
        if number == 0:
            yield from conflict.says
        else:
            yield "Also: " + " ".join(conflict.says)


def _wrong(found: History) -> str:
    """What is wrong at the end, in a sentence without its full stop."""
    if found.violation.at_rest or not found.moves:
        return f"at the end, {found.found.wrong}"
    last = found.moves[-1]
    changed = [a for a in last.accesses if a.new != a.old]
    did = "; ".join((*(a.says() for a in changed or last.accesses), *last.notes))
    return f"CPU {last.cpu} in step {last.number}, {last.step}" + (f" ({did})" if did else "")


def _rows(found: History, kept: frozenset[int], conflict: Conflict | None) -> list[dict[str, Any]]:
    """The rows of the table: the beginning, the preparation, the steps; steps without influence belong to a fold."""
    cpus = len(found.model.workload.cpus)
    rows = [_beginning(cpus, bool(found.prepared))]
    for number, prepared in enumerate(found.prepared, 1):
        row = _row(f"prep-{number}", f"prep {number}", prepared.cpu, prepared.operation, cpus)
        rows.append({**row, "says": f"beforehand, CPU {prepared.cpu} performs {prepared.operation}"})
    pair = [conflict.first.number, *([] if conflict.ahead else [conflict.second.number])] if conflict else []
    busy = [False] * cpus
    run: list[Move] = []
    for move in found.moves:
        busy[move.cpu] = busy[move.cpu] or not move.drains
        row = _of_move(move, list(busy))
        if move.number in pair and conflict:
            row["conflict"] = f"conflict on {conflict.name}"
        if move.number not in kept and not move.begins and move.number not in pair and not move.broken:
            run.append(move)
            row["of_fold"] = f"fold-{run[0].number}"
        elif run:
            _begin_fold(rows, run)
            run = []
        rows.append(row)
        busy[move.cpu] = not move.ends if not move.drains else busy[move.cpu]
    if run:
        _begin_fold(rows, run)
    return rows


def _row(identifier: str, label: str, cpu: int, step: str, cpus: int) -> dict[str, Any]:
    kind = identifier.partition("-")[0]
    row = {"id": identifier, "kind": kind, "label": label, "cpu": cpu, "step": step, "busy": [False] * cpus}
    blank = dict.fromkeys(("fold", "of_fold", "conflict", "broken", "begins", "ends", "operation"), "")
    return {**row, **blank, "accesses": [], "notes": [], "says": ""}


def _beginning(cpus: int, prepared: bool) -> dict[str, Any]:
    row = _row("start", "start", 0, "the machine has booted" if prepared else "all CPUs start", cpus)
    return {**row, "says": "the beginning"}


def _of_move(move: Move, busy: list[bool]) -> dict[str, Any]:
    step = "the store buffer writes" if move.drains else move.step
    row = _row(f"step-{move.number}", str(move.number), move.cpu, step, len(busy))
    did = "; ".join((*(a.says() for a in move.accesses), *move.notes))
    return {
        **row,
        "busy": busy,
        "begins": move.begins,
        "ends": move.ends,
        "operation": move.operation,
        "broken": ", ".join(move.broken),
        "accesses": [_access(move, a) for a in move.accesses if not _within(a)],
        "notes": move.notes,
        "says": f"CPU {move.cpu}, {step}" + (f": {did}" if did else ""),
    }


def _access(move: Move, access: Access) -> dict[str, Any]:
    return {
        "word": access.word,
        "name": access.name,
        "writes": access.writes and access.old_text != access.new_text,
        "changes": access.new != access.old,
        "old": access.old_text,
        "new": access.new_text,
        "from": move.seen.get(access.word, 0),
        "stored": move.drains,
        "waits": access.waits,
    }


def _within(access: Access) -> bool:
    """Whether a lock is taken and released within one step: nobody sees it."""
    return access.writes and access.new == access.old and access.field.endswith("lock")


def _begin_fold(rows: list[dict[str, Any]], run: Sequence[Move]) -> None:
    """Put the button that shows a run of steps without influence in front of the first of them."""
    first = next(row for row in rows if row["id"] == f"step-{run[0].number}")
    names = ", ".join(move.step for move in run)
    count = f"{len(run)} steps" if len(run) > 1 else "1 step"
    first["fold"] = {"id": f"fold-{run[0].number}", "text": f"{count} without influence: {names}"}


def _ahead_row(move: Move) -> dict[str, Any]:
    changed = [a for a in move.accesses if a.writes and a.new != a.old]
    return {
        "cpu": move.cpu,
        "step": move.step,
        "accesses": [{"word": a.word, "name": a.name, "old": a.old_text, "new": a.new_text} for a in changed],
    }


def _word(conflict: Conflict) -> int:
    return next(a.word for a in conflict.first.accesses if a.name == conflict.name)


def _anchor(move: Move, conflict: Conflict | None = None) -> str:
    return "ahead-1" if conflict is not None and conflict.ahead else f"step-{move.number}"


def _filters(found: History) -> list[dict[str, Any]]:
    """What the steps can be narrowed to: a page or another object, and a field of one."""
    accesses = {a.name: a for move in found.moves for a in move.accesses}
    objects = sorted({a.name.removesuffix(f" {a.field}") for a in accesses.values()})
    fields = sorted(set(accesses) - set(objects))
    return [{"name": "of one object", "names": objects}, {"name": "of one field", "names": fields}]


def _arrows(found: History, kept: frozenset[int]) -> list[list[int]]:
    """Reads that saw what another CPU wrote: the step that wrote, the step that read, the word; 1 if both decide."""
    arrows = []
    for move in found.moves:
        for word, writer in move.seen.items():
            if writer and found.moves[writer - 1].cpu != move.cpu:
                arrows.append([writer, move.number, word, int(move.number in kept and writer in kept)])
    return arrows


def _line(line: Any) -> dict[str, str]:
    kinds = {"-": "gone", "+": "come"}
    return {"sign": line.sign, "text": line.text, "kind": kinds.get(line.sign, "same")}


def _sources(found: History) -> dict[str, dict[str, str]]:
    """Each step by its name: the docstring, the source, and where it stands."""
    steps = {}
    for move in found.moves:
        if move.step not in steps and move.function is not None:
            try:
                lines, first = inspect.getsourcelines(move.function)
            except (OSError, TypeError):
                lines, first = ["(the source is not there)"], 0
            where = f"{getattr(move.function, '__module__', '')}, line {first}" if first else ""
            steps[move.step] = {
                "doc": inspect.getdoc(move.function) or "",
                "source": inspect.cleandoc("".join(lines)) if not first else "".join(lines).rstrip(),
                "where": where,
            }
    return steps


def _programs(found: History, mended: Design | None) -> dict[str, list[list[Any]]]:
    """The programs of the workload's operations, line by line: sign, text, number of the entry."""
    programs = {}
    for name in sorted({move.operation.split()[0] for move in found.moves if not move.drains}):
        broken = found.model.design.programs[name].names()
        other = mended.programs[name].names() if mended and name in mended.programs else broken
        programs[name] = [[line.sign, line.text, line.place] for line in laid_over(broken, other)]
    return programs


def _place(found: History, move: Move) -> list[Any] | None:
    """The step's name, the operation's, which entry of its program it stands in, and the private steps with it."""
    if move.drains:
        return None
    operation = move.operation.split()[0]
    shared = next((i for i, taken in enumerate(move.taken) if taken.function is move.function), None)
    if shared is None:
        return [move.step, operation, None, ""]
    entries = _entries(found.model.design.programs[operation], found.model.workload.machine.arch)
    return [move.step, operation, entries[move.places[shared]], ", ".join(move.private)]


def _entries(program: Program, arch: str) -> list[int]:
    """For each step of the assembled program, the entry that it comes from."""
    entries: list[int] = []
    for number, entry in enumerate(program):
        if isinstance(entry, ByArch):
            entries += [number] * len(entry.arch_pae if arch == "pae" else entry.arch_64)
        elif callable(entry):
            entries.append(number)
    return entries
