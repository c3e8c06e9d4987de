"""Who is who in a script: which processes run and what they have mapped, as both sides of a comparison see it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from stress.live.compare.kernel_run import AREAS, Area, Op

TOUCHES = ("read", "write", "discard")


class Family:
    """Processes 0 to ``most`` - 1 of a script, of which the first always runs.

    ``mapped`` says of every area of every process that runs whether it may hold anonymous pages: whether the
    kernel has given it an ``anon_vma``, which the first private write does. An area that is not mapped is missing.
    """

    def __init__(self, most: int) -> None:
        """Process 0 runs, with every area mapped and none touched."""
        self.most = most
        self.mapped: dict[int, dict[Area, bool]] = {0: dict.fromkeys(AREAS, False)}

    @property
    def running(self) -> list[int]:
        """Numbers of the processes that run, ascending."""
        return sorted(self.mapped)

    @property
    def free(self) -> int | None:
        """The number that the next child gets, None when there is none left."""
        return next((n for n in range(self.most) if n not in self.mapped), None)

    def possible(self, op: Op) -> bool:
        """Return whether the operation can be done now, by a process that runs."""
        if op.do == "fork":
            return self.free is not None
        if op.do == "exit":
            return op.process != 0
        return op.do == "map" or op.area in self.mapped[op.process]

    def apply(self, op: Op) -> None:
        """Note what a possible operation changes."""
        areas = self.mapped[op.process]
        if op.do == "fork":
            assert self.free is not None
            self.mapped[self.free] = dict(areas)
        elif op.do == "exit":
            del self.mapped[op.process]
        elif op.do == "map":
            areas[op.area] = False
        elif op.do == "unmap":
            del areas[op.area]
        elif op.do == "write":
            areas[op.area] = areas[op.area] or op.area != "shmem"


def settle(ops: Iterable[Op], most: int) -> tuple[Op, ...]:
    """Return the operations that can be done, one after the other, their process numbers taken among those that run."""
    family = Family(most)
    script = []
    for drawn in ops:
        op = replace(drawn, process=family.running[drawn.process % len(family.running)])
        if family.possible(op):
            family.apply(op)
            script.append(op)
    return tuple(script)


def describe(op: Op) -> str:
    """Return an operation as people read it: ``1: write anon 2-4``."""
    words: list[str] = [f"{op.process}:", op.do]
    if op.do not in ("fork", "exit"):
        words.append(op.area)
    if op.do in TOUCHES:
        words.append(str(op.first) if op.count == 1 else f"{op.first}-{op.first + op.count - 1}")
    return " ".join(words)
