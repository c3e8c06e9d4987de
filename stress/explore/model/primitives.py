"""What the engine needs beyond Python's integers: to call a step by its number, windows into words, prefetching.

As in `shm_layout.atomic`, what stands here is plain Python and says what is meant;
`stress.explore.model.primitives_compiled` gives the same names a meaning in compiled code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shm_layout.words import Words
from stress.step import StepFunction

RAISED = -(1 << 62)
"""In the place of what a step or a check returns: it raised an exception."""


class Window:
    """The words of others from an index on."""

    __slots__ = ("base", "of")

    def __init__(self, of: Words, base: int) -> None:
        """``of``: words, or another window of them."""
        self.of, self.base = of, base

    def __getitem__(self, index: int) -> int:
        """The word ``index`` behind the beginning of the window."""
        return self.of[self.base + index]

    def __setitem__(self, index: int, value: int) -> None:
        """Set it."""
        self.of[self.base + index] = value


def window(words: Words, index: int) -> Words:
    """The words from ``index`` on. In compiled code a pointer."""
    return Window(words, index)


def call_step(steps: Any, number: int, m: Words, r: Words, record: Words) -> int:
    """Take step ``number``. ``steps``: functions; in compiled code the address of a function over all of them.

    ``record``: where compiled code notes the step's accesses (`shm_layout.record`); plain Python notes none.
    """
    functions: Sequence[StepFunction] = steps
    return functions[number](m, r)


def prefetch(pointer: Any, index: int) -> None:
    """Tell the processor that the element ``index`` will be read soon."""


def pointer(array: Any) -> Any:
    """An array without its length. In compiled code arrays are counted by Numba at every call, pointers are not."""
    return array
