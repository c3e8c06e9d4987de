"""What the engine needs beyond Python's integers: to call a step by its number, windows into words, prefetching.

As in `shm_layout.atomic`, what stands here is plain Python and says what is meant;
`stress.explore.model.primitives_compiled` gives the same names a meaning in compiled code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shm_layout.noting import NotingMemory
from shm_layout.record import NOTED
from shm_layout.words import Words
from stress.step import StepFunction

RAISED = -(1 << 62)
"""In the place of what a step or a check returns: it raised an exception."""


class Window:
    """The words of others from an index on."""

    __slots__ = ("base", "of")

    def __init__(self, of: Words, base: int) -> None:
        """Begin at a word of ``of``: words, or another window of them."""
        self.of, self.base = of, base

    def __getitem__(self, index: int) -> int:
        """Return the word ``index`` after the beginning of the window."""
        return self.of[self.base + index]

    def __setitem__(self, index: int, value: int) -> None:
        """Set it."""
        self.of[self.base + index] = value


def window(words: Words, index: int) -> Words:
    """Return the words from ``index`` on. In compiled code a pointer."""
    return Window(words, index)


def call_step(steps: Any, number: int, m: Words, r: Words) -> int:
    """Take step ``number`` of the library.

    ``steps``: functions; in compiled code the address of a table of their addresses.
    """
    functions: Sequence[StepFunction] = steps
    return functions[number](m, r)


def call_watched(steps: Any, number: int, m: Words, r: Words, record: Words) -> int:
    """Take step ``number`` of the library on memory that is watched.

    ``record``: where compiled code notes the step's accesses (`shm_layout.record`), and plain Python if it is told to.
    """
    functions: Sequence[StepFunction] = steps
    return functions[number](NotingMemory(m, record) if record[NOTED] else m, r)


def call_own(functions: Any, number: int, m: Words, r: Words, record: Words) -> int:
    """Call what a design brings along: its steps, holders and checks, by number. All of it is watched.

    ``functions``: in compiled code the address of a function over all of them. Returns `RAISED` for an exception.
    """
    own: Sequence[StepFunction] = functions
    return own[number](NotingMemory(m, record) if record[NOTED] else m, r)


def call_move(move: Any, p: Words, m: Words, g: Words, choice: int) -> int:
    """Go on from a state: `stress.explore.model.transition.move`, in compiled code by its address.

    So it is compiled by itself, while another process compiles what calls it.
    """
    function: Callable[[Words, Words, Words, int], int] = move
    return function(p, m, g, choice)


def prefetch(pointer: Any, index: int) -> None:
    """Tell the processor that the element ``index`` will be read soon."""


def pointer(array: Any) -> Any:
    """Return an array without its length. Numba counts references of arrays at every call, and not of pointers."""
    return array
