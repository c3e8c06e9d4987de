"""A program: the steps of one operation, in order, and the edits that make one program from another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from shm_layout.errors import UsageError
from stress.labels import label_info, outcomes
from stress.step import DONE, WAIT, StepFunction, info, possible_outcomes


@dataclass(frozen=True)
class At:
    """The place of a label in a program."""

    label: int

    def __post_init__(self) -> None:
        """Raise `ValueError` for what is no label."""
        label_info(self.label)


@dataclass(frozen=True)
class Goto:
    """An unconditional jump to a label."""

    label: int

    def __post_init__(self) -> None:
        """Raise `ValueError` for what is no label."""
        label_info(self.label)


@dataclass(frozen=True)
class ByArch:
    """An access that is one step on arch=64 and may be several on arch=pae, such as reading a pte."""

    name: str
    arch_64: tuple[StepFunction, ...]
    arch_pae: tuple[StepFunction, ...]


Entry = StepFunction | ByArch | At | Goto
Source = Entry | Iterable["Source"]


def _flatten(sources: Iterable[Source]) -> Iterator[Entry]:
    for source in sources:
        if isinstance(source, (At, Goto, ByArch)):
            yield source
        elif callable(source):
            info(source)
            yield source
        else:
            yield from _flatten(source)


def entry_name(entry: Entry) -> str:
    """Return the name that an entry is printed with."""
    if isinstance(entry, At):
        return f"{label_info(entry.label).name}:"
    if isinstance(entry, Goto):
        return f"goto {label_info(entry.label).name}"
    return entry.name if isinstance(entry, ByArch) else info(entry).name


def _begins_section(entry: Entry) -> bool:
    return isinstance(entry, At) and label_info(entry.label).section


class Program(tuple[Entry, ...]):
    """An ordered tuple of steps, labels and jumps. Edits return a new program and never do nothing.

    Every edit can be confined to one section of the program: from the label ``within`` to the next label
    that begins a section. Without it, the edit is made wherever it fits. An edit that fits nowhere raises
    `ValueError`, which names what was looked for.
    """

    __slots__ = ()

    def __new__(cls, *sources: Source) -> Program:
        """Return a program of these entries; nested tuples are taken as their entries."""
        return super().__new__(cls, _flatten(sources))

    def _span(self, within: int | None) -> range:
        if within is None:
            return range(len(self))
        for i, entry in enumerate(self):
            if entry == At(within):
                later = range(i + 1, len(self))
                return range(i, next((j for j in later if _begins_section(self[j])), len(self)))
        raise ValueError(f"no label {label_info(within).name} in this program")

    def _places(self, entry: Entry, within: int | None) -> list[int]:
        places = [i for i in self._span(within) if self[i] == entry]
        if not places:
            where = "" if within is None else f" after {label_info(within).name}"
            raise ValueError(f"no {entry_name(entry)} in this program{where}")
        return places

    def replace(self, old: Entry, *new: Source, within: int | None = None) -> Program:
        """Put ``new`` (nothing: drop it) in the place of ``old``."""
        places = set(self._places(old, within))
        return Program(*((new if i in places else e) for i, e in enumerate(self)))

    def drop(self, entry: Entry, within: int | None = None) -> Program:
        """Leave an entry out."""
        return self.replace(entry, within=within)

    def before(self, entry: Entry, *new: Source, within: int | None = None) -> Program:
        """Insert ``new`` before an entry."""
        return self.replace(entry, new, entry, within=within)

    def after(self, entry: Entry, *new: Source, within: int | None = None) -> Program:
        """Insert ``new`` after an entry."""
        return self.replace(entry, entry, new, within=within)

    def swap(self, first: Entry, second: Entry, within: int | None = None) -> Program:
        """Let the two change places, wherever one follows the other in the same section."""
        entries = list(self)
        span = self._span(within)
        swapped = False
        for i in span:
            if entries[i] not in (first, second):
                continue
            other = second if entries[i] == first else first
            for j in range(i + 1, span.stop):
                if _begins_section(entries[j]) or entries[j] == entries[i]:
                    break
                if entries[j] == other and entries[i] == self[i]:
                    entries[i], entries[j] = entries[j], entries[i]
                    swapped = True
                    break
        if not swapped:
            raise ValueError(f"{entry_name(first)} and {entry_name(second)} follow each other nowhere here")
        return Program(*entries)

    def splice(self, old: tuple[Entry, ...], *new: Source, within: int | None = None) -> Program:
        """Put ``new`` in the place of a run of entries."""
        span = self._span(within)
        out: list[Source] = []
        i = 0
        found = False
        while i < len(self):
            if old and i in span and tuple(self[i : i + len(old)]) == old:
                out.extend(new)
                i += len(old)
                found = True
            else:
                out.append(self[i])
                i += 1
        if not found:
            raise ValueError(f"no {', '.join(map(entry_name, old))} in this program")
        return Program(*out)

    def names(self) -> list[str]:
        """Return the names of all entries, in order."""
        return [entry_name(e) for e in self]


class ProgramError(UsageError, ValueError):
    """A program that cannot be performed."""


@dataclass(frozen=True)
class Assembled:
    """A program for one arch: its steps, and for each where each outcome leads.

    ``jump[pc][outcome]`` is the next step's number, `END` when the operation ends, `STAY` for WAIT.
    An outcome that the step cannot have is `NOWHERE`.
    """

    steps: tuple[StepFunction, ...]
    jump: tuple[tuple[int, ...], ...]


END = -1
STAY = -2
NOWHERE = -3


def assemble(program: Program, arch: str) -> Assembled:
    """Resolve labels and jumps of a program for ``arch``, "64" or "pae".

    Raises `ProgramError` for a jump whose label is not there, from a goto or from a step's outcome, for a program
    without a step, or that a goto begins (engines begin with the first step); and what `possible_outcomes` raises.
    """
    return _assemble(program, arch, outcomes())


@lru_cache(maxsize=1024)
def _assemble(program: Program, arch: str, outcomes_: int) -> Assembled:
    flat: list[StepFunction | At | Goto] = []
    for entry in program:
        if isinstance(entry, ByArch):
            flat.extend(entry.arch_pae if arch == "pae" else entry.arch_64)
        else:
            flat.append(entry)
    numbers: list[int] = []
    count = 0
    for item in flat:
        numbers.append(count)
        count += not isinstance(item, (At, Goto))

    def target(place: int, outcome: int, hops: int = 0) -> int | None:
        back = label_info(outcome).back
        candidates = range(place - 1, -1, -1) if back else range(place + 1, len(flat))
        found = next((i for i in candidates if flat[i] == At(outcome)), None)
        return None if found is None else follow(found, hops)

    def follow(place: int, hops: int = 0) -> int:
        while place < len(flat):
            item = flat[place]
            if isinstance(item, Goto):
                if hops > len(flat):
                    raise ProgramError(f"goto {label_info(item.label).name} goes round in a circle")
                to = target(place, item.label, hops + 1)
                if to is None:
                    raise ProgramError(f"goto {label_info(item.label).name}: no such label there")
                return to
            if not isinstance(item, At):
                return numbers[place]
            place += 1
        return END

    steps: list[StepFunction] = []
    jump: list[tuple[int, ...]] = []
    for place, item in enumerate(flat):
        if isinstance(item, (At, Goto)):
            continue
        possible = possible_outcomes(item)
        row = [NOWHERE] * outcomes_
        row[0] = follow(place + 1)
        row[DONE] = END
        row[WAIT] = STAY
        for outcome in range(3, outcomes_):
            to = target(place, outcome) if outcome in possible else None
            if to is None and outcome in possible:
                raise ProgramError(f"{info(item).name} may go to {label_info(outcome).name}: no such label there")
            row[outcome] = NOWHERE if to is None else to
        steps.append(item)
        jump.append(tuple(row))
    if not steps:
        raise ProgramError(f"a program without a step ({', '.join(program.names()) or 'it is empty'}): give it one")
    if follow(0) != 0:
        first = next(item for item in flat if isinstance(item, Goto))
        raise ProgramError(f"a program begins with {entry_name(first)}: begin it with the step that this leads to")
    return Assembled(tuple(steps), tuple(jump))
