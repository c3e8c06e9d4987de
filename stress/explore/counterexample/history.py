"""A counterexample as data: each step with its accesses, which write each read saw, and the memory between steps."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from stress.explore.counterexample import words
from stress.explore.counterexample.access import Access
from stress.explore.counterexample.trace import DRAIN, Player, Row, Taken, Trace, shared_of, trace
from stress.explore.model.model import Model, build
from stress.explore.result import Violation
from stress.program import Assembled, assemble
from stress.step import info
from stress.system.never_ends import bounded

BEGINNING = 0
"""The number of the state in which the CPUs start, in the place of a step's: steps are numbered from 1."""
AHEAD = 200
"""Steps that a CPU is followed, at most, behind the end of a schedule, to see what it was about to do."""


@dataclass(frozen=True)
class Move:
    """A step of a counterexample, with the private steps around it; or a store that leaves its CPU's buffer.

    ``number``: from 1. ``operation``: the text of the operation that it is part of, the ``place``-th of its CPU,
    from 0. ``seen``: for words that it read, the number of the step that wrote what it saw, `BEGINNING` for none.
    ``private``: names of the steps on registers alone that were taken with it. ``notes``: what else is to be said of
    it, such as what a read shows. ``places``: where in the operation's assembled program each of ``taken`` stands.
    """

    number: int
    cpu: int
    operation: str
    place: int
    begins: bool
    ends: bool
    step: str
    function: Any
    accesses: tuple[Access, ...]
    seen: dict[int, int]
    private: tuple[str, ...]
    notes: tuple[str, ...]
    broken: tuple[str, ...]
    taken: tuple[Taken, ...]
    places: tuple[int, ...] = ()

    @property
    def drains(self) -> bool:
        """Whether no step is taken: a store leaves the store buffer of the CPU."""
        return self.step == DRAIN

    def reads(self) -> list[Access]:
        """The words that it looked at."""
        return [a for a in self.accesses if a.reads]

    def writes(self) -> list[Access]:
        """The words that it set."""
        return [a for a in self.accesses if a.writes]

    def access(self, word: int) -> Access | None:
        """What it did to a word."""
        return next((a for a in self.accesses if a.word == word), None)


@dataclass(frozen=True)
class Prepared:
    """An operation of the preparation, in front of ``||``: by which CPU, and the memory behind it."""

    cpu: int
    operation: str
    memory: tuple[int, ...]


@dataclass(frozen=True)
class History:
    """A counterexample with all values.

    ``memories``: in front of the first step, and behind each. ``registers``: of all CPUs, likewise. ``prepared``: the
    preparation. ``ahead``: what each CPU was about to do in its operation, had nothing broken; empty at rest.
    ``stores``: likewise, in words, what waits in the store buffer of each CPU; empty under memory model sc.
    """

    model: Model
    found: Trace
    moves: tuple[Move, ...]
    memories: tuple[tuple[int, ...], ...]
    registers: tuple[tuple[int, ...], ...]
    prepared: tuple[Prepared, ...]
    ahead: tuple[Move, ...]
    stores: tuple[tuple[str, ...], ...] = ()

    @property
    def violation(self) -> Violation:
        """The check that breaks, and the schedule."""
        return self.found.violation


def history(model: Model, violation: Violation) -> History:
    """Take a counterexample again and keep all of it. Raises what `trace` raises.

    >>> for move in history(model, violation).moves:
    ...     print(move.cpu, move.step, [access.says() for access in move.accesses])
    """
    found = trace(model, violation)
    player = Player(model)
    own = (*model.design.own_steps, *model.design.own_checks)
    cpus = range(len(model.workload.cpus))
    memories, registers, stores = [tuple(player.m)], [tuple(player.g)], [("",) * len(cpus)]
    for choice in violation.schedule:
        with contextlib.suppress(Exception), bounded(own):  # trace() has looked at how it ends
            player.move(choice)
        memories.append(tuple(player.m))
        registers.append(tuple(player.g))
        stores.append(tuple("; ".join(player.stores(cpu)) for cpu in cpus))
    moves, writers = _moves(model, found.rows, memories)
    ahead: list[Move] = []
    if not violation.at_rest:
        with contextlib.suppress(Exception), bounded(own):
            ahead = _ahead(player, len(moves), writers)
    return History(
        model=model,
        found=found,
        moves=tuple(moves),
        memories=tuple(memories),
        registers=tuple(registers),
        prepared=tuple(_prepared(model)),
        ahead=tuple(ahead),
        stores=tuple(stores) if any(map(any, stores)) else (),
    )


def _moves(
    model: Model, rows: Sequence[Row], memories: Sequence[Sequence[int]]
) -> tuple[list[Move], Writers]:
    """The rows as data, and for each word that was written the number of the last step that did."""
    moves: list[Move] = []
    writers = Writers()
    programs = Programs(model)
    for number, (row, before) in enumerate(zip(rows, memories, strict=False), 1):
        move = _move(model, number, row, before, writers)
        moves.append(move if move.drains else replace(move, places=programs.follow(row)))
        writers.enter(number, row)
    return moves, writers


class Writers:
    """Which step wrote what a CPU sees in a word: the last one in the memory, or of its own in its store buffer."""

    def __init__(self) -> None:
        """Nothing has been written yet."""
        self.memory: dict[int, int] = {}
        self.buffers: dict[int, list[tuple[int, int, int]]] = {}
        """By CPU, the stores that wait in its buffer, oldest first: word, half, and the number of the step."""

    def seen_by(self, cpu: int, word: int) -> int:
        """The number of the step whose store a CPU sees, `BEGINNING` for none."""
        waiting = [number for at, _, number in self.buffers.get(cpu, []) if at == word]
        return waiting[-1] if waiting else self.memory.get(word, BEGINNING)

    def leaves(self, row: Row) -> int:
        """The number of the step whose store leaves the buffer in this row."""
        return next((n for word, half, n in self.buffers.get(row.cpu, []) if (word, half) == row.drained), BEGINNING)

    def enter(self, number: int, row: Row) -> None:
        """Enter what a row wrote."""
        waiting = self.buffers.setdefault(row.cpu, [])
        if row.step == DRAIN:
            self.memory[row.drained[0]] = number
            left = next((i for i, (word, half, _) in enumerate(waiting) if (word, half) == row.drained), None)
            if left is not None:
                del waiting[left]
            return
        waiting += [(word, half, number) for word, half in row.buffered[len(waiting) :]]
        buffered = {word for word, _ in row.buffered}
        wrote = {word for taken in row.taken for wrote, word, _ in taken.noted if wrote}
        self.memory.update(dict.fromkeys(wrote - buffered, number))


def _move(model: Model, number: int, row: Row, before: Sequence[int], writers: Writers) -> Move:
    taken = shared_of(row.taken)
    waiting = {word for word, _ in row.buffered}
    seen = {a.word: writers.seen_by(row.cpu, a.word) for a in row.accesses if a.reads}
    if row.step == DRAIN:
        seen = {row.drained[0]: writers.leaves(row)}
    private = tuple(info(t.function).name for t in row.taken if t is not taken)
    function = taken.function if taken else None
    told = words.accesses(model.layout, list(before), taken.noted, waiting) if taken else row.details
    return Move(
        number=number,
        cpu=row.cpu,
        operation=row.operation,
        place=row.number,
        begins=row.begins,
        ends=row.ends,
        step=row.step,
        function=function,
        accesses=row.accesses,
        seen=seen,
        private=private,
        notes=tuple(detail for detail in row.details if detail not in told),
        broken=row.broken,
        taken=row.taken,
    )


class Programs:
    """Where each CPU stands in the program of its operation, followed from call to call."""

    def __init__(self, model: Model) -> None:
        """Begin in the first state."""
        self.model = model
        self.next: dict[int, int] = {}

    def program(self, cpu: int, place: int) -> Assembled:
        """The assembled program of the ``place``-th operation of a CPU."""
        workload = self.model.workload
        return assemble(self.model.design.programs[workload.cpus[cpu][place].name], workload.machine.arch)

    def follow(self, row: Row) -> tuple[int, ...]:
        """The places of the calls of a row, in order."""
        program = self.program(row.cpu, row.number)
        place = 0 if row.begins else self.next.get(row.cpu, 0)
        places = []
        for taken in row.taken:
            places.append(place)
            to = program.jump[place][taken.outcome]
            place = to if to >= 0 else place
        self.next[row.cpu] = place
        return tuple(places)


def _ahead(player: Player, last: int, writers: Writers) -> list[Move]:
    """What each CPU does next in its operation, from the present state on, if it goes on alone."""
    moves = []
    kept = list(player.m), list(player.g)
    for cpu in range(len(player.model.workload.cpus)):
        player.m, player.g = list(kept[0]), list(kept[1])
        known = deepcopy(writers)
        for number in range(last + 1, last + 1 + AHEAD):
            before = tuple(player.m)
            row = player.move(cpu)
            if row is None or row.begins:
                break
            moves.append(_move(player.model, number, row, before, known))
            known.enter(number, row)
            if row.ends:
                break
    return moves


def _prepared(model: Model) -> list[Prepared]:
    """The operations of the preparation, each with the memory behind it."""
    setup = model.workload.setup
    found = []
    for count, (cpu, operation) in enumerate(setup, 1):
        part = build(model.design, replace(model.workload, setup=setup[:count]), model.memory_model.name)
        found.append(Prepared(cpu, str(operation), tuple(part.memory)))
    return found
