"""Who is who in a script: which processes run and what they have mapped, as both sides of a comparison see it."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace

from stress.live.compare.kernel_run import AREAS, ONE_BY_ONE, Area, Op


@dataclass(eq=False)
class Vma:
    """What the kernel has one VMA for: pages of an area that lie side by side and are alike.

    ``anon``: whether it may hold anonymous pages: whether the kernel has given it an ``anon_vma``, which the first
    private write does. What is split off it, or moved, keeps that.
    """

    anon: bool = False
    read_only: bool = False


Pages = list[Vma | None]
"""Of each page of an area its VMA, or None where nothing is mapped."""


def _split(pages: Pages, page: int) -> Vma | None:
    """Give a page a VMA of its own, and what lies behind it another; return the page's."""
    vma = pages[page]
    if vma is None:
        return None
    behind = replace(vma)
    pages[page + 1 :] = [behind if other is vma else other for other in pages[page + 1 :]]
    pages[page] = own = replace(vma)
    return own


class Family:
    """Processes 0 to ``most`` - 1 of a script, of which the first always runs, with areas of ``pages`` pages.

    ``mapped`` says of every area of every process that runs which VMA each page lies in.
    """

    def __init__(self, most: int, pages: int) -> None:
        """Process 0 runs, with every area mapped and none touched."""
        self.most = most
        self.pages = pages
        self.mapped: dict[int, dict[Area, Pages]] = {0: {area: self._anew() for area in AREAS}}

    def _anew(self) -> Pages:
        vma = Vma()
        return [vma] * self.pages

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
        pages = self.mapped[op.process][op.area]
        if op.do == "unmap":
            return any(pages)
        if op.do == "move":
            return op.count > 1 and pages[op.first] is not None
        taken = pages[op.first : op.first + op.count] if op.do in ONE_BY_ONE else ()
        return all(vma is not None and not (op.do == "write" and vma.read_only) for vma in taken)

    def apply(self, op: Op) -> None:
        """Note what a possible operation changes."""
        areas = self.mapped[op.process]
        pages = areas[op.area]
        if op.do == "fork":
            assert self.free is not None
            self.mapped[self.free] = copy.deepcopy(areas)
        elif op.do == "exit":
            del self.mapped[op.process]
        elif op.do == "map":
            areas[op.area] = self._anew()
        elif op.do == "unmap":
            areas[op.area] = [None] * self.pages
        elif op.do == "move":
            last = op.first + op.count - 1
            _split(pages, last)
            pages[last] = _split(pages, op.first)
            pages[op.first] = None
        elif op.do in ONE_BY_ONE:
            for page in range(op.first, op.first + op.count):
                self._apply_to(op, pages, page)

    def _apply_to(self, op: Op, pages: Pages, page: int) -> None:
        vma = pages[page]
        assert vma is not None
        if op.do == "write":
            vma.anon = vma.anon or op.area != "shmem"
        elif op.do == "cut":
            _split(pages, page)
            pages[page] = None
        elif op.do == "protect" and not vma.read_only:
            own = _split(pages, page)
            assert own is not None
            own.read_only = True


def settle(ops: Iterable[Op], most: int, pages: int) -> tuple[Op, ...]:
    """Return the operations that can be done, one after the other, their process numbers taken among those that run."""
    family = Family(most, pages)
    script = []
    for drawn in ops:
        op = replace(drawn, process=family.running[drawn.process % len(family.running)])
        if family.possible(op):
            family.apply(op)
            script.append(op)
    return tuple(script)


def describe(op: Op) -> str:
    """Return an operation as people read it: ``1: write anon 2-4``, ``0: move anon 2 to 4``."""
    words: list[str] = [f"{op.process}:", op.do]
    if op.do not in ("fork", "exit"):
        words.append(op.area)
    if op.do in ONE_BY_ONE:
        between = " to " if op.do == "move" else "-"
        words.append(str(op.first) if op.count == 1 else f"{op.first}{between}{op.first + op.count - 1}")
    return " ".join(words)
