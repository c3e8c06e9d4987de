"""An access of a step to one word of the memory, as data: structure, instance, field, value before and behind it."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

from shm_layout.layout import Layout
from shm_layout.structs import SHADOWS
from shm_layout.words import Words
from stress.explore.counterexample import words


@dataclass(frozen=True)
class Access:
    """What a step did to one word.

    ``word``: its index in the memory. ``structure``, ``instance`` and ``field``: what lies there. ``name``: the same
    as people say it, such as ``page 1 mapcount``. ``reads``: the step looked at it before it wrote it. ``old`` and
    ``new``: the value before the step and behind it, with their words in ``old_text`` and ``new_text``. ``waits``: what
    was written waits in the store buffer of the CPU, and only that CPU sees it.
    """

    word: int
    structure: str
    instance: int
    field: str
    name: str
    reads: bool
    writes: bool
    old: int
    new: int
    old_text: str
    new_text: str
    waits: bool = False

    def to_json(self, *, written: bool) -> dict[str, Any]:
        """A JSON object: where the word lies and its value; with the new one, where what was ``written`` is meant."""
        place = {"structure": self.structure, "instance": self.instance, "field": self.field, "old": self.old}
        return {**place, "new": self.new} if written else place

    def change(self) -> str:
        """What happened to the value: ``0 -> -1``, or ``none`` where it was only read."""
        return f"{self.old_text} -> {self.new_text}" if self.writes else self.old_text

    def says(self) -> str:
        """What happened to the word: ``page 1 mapcount: 0 -> -1``, or ``pte 0:0 is none`` where it was only read."""
        waits = " (in the store buffer)" if self.waits else ""
        return f"{self.name}{':' if self.writes else ' is'} {self.change()}{waits}"


def accesses(
    layout: Layout, before: Words, noted: Sequence[tuple[bool, int, int]], buffered: Container[int] = ()
) -> tuple[Access, ...]:
    """The accesses of a step, one for each word, in the order of the first; what no design reads is left out.

    ``before``: the memory in front of the step. ``noted``: (whether it was written, word, value), in order.
    ``buffered``: words that the CPU's store buffer holds a store to, behind the step.
    """
    read: dict[int, int] = {}
    last: dict[int, int] = {}
    order: dict[int, None] = {}
    for wrote, index, word in noted:
        order[index] = None
        if wrote:
            last[index] = word
        elif index not in last:
            read.setdefault(index, word)
    found = []
    for index in order:
        place = layout.field_at(index)
        structure = next((n for n, r in layout.regions.items() if r.start <= index < r.end), "word")
        if structure in SHADOWS:
            continue
        old = read.get(index, before[index])  # a CPU sees its own stores before others do
        new = last.get(index, old)
        field, instance = (place[0].name, place[1]) if place else ("", index)
        found.append(
            Access(
                word=index,
                structure=structure,
                instance=instance,
                field=field,
                name=layout.describe(index),
                reads=index in read,
                writes=index in last,
                old=old,
                new=new,
                old_text=words.value(layout, before, index, old),
                new_text=words.value(layout, before, index, new),
                waits=index in last and index in buffered,
            )
        )
    return tuple(found)
