"""A program as a loop in generated source, shared by the workers' functions and by those that measure counters.

Only the outcomes that a step can have are written out, and a step that waits is tried again in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from stress.program import Assembled
from stress.step import NEXT, WAIT, StepFunction, possible_outcomes

SPINS = 100
"""Tries of a step that waits before the CPU is given to the one that it waits for."""


def _nothing(number: int) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Loop:
    """What differs between the engines; the lines of each are source, indented by nothing."""

    call: Callable[[StepFunction], str]
    """The expression that performs a step."""
    waits: Callable[[int], Sequence[str]]
    """Lines before the step at this place is tried again; ``spins`` says for which time."""
    waited: Callable[[int], Sequence[str]] = _nothing
    """Lines after a step that can wait, once it went on."""
    jumped: Callable[[int], Sequence[str]] = _nothing
    """Lines after a jump, by the outcome that it was for."""
    taken: Callable[[int, Sequence[int]], Sequence[str]] = lambda number, outcomes: ()
    """Lines after the step at this place was taken, given the outcomes that ``o`` can be."""


def loop_lines(program: Assembled, loop: Loop) -> Iterator[str]:
    """Yield the body of a function that performs a program: ``pc`` is negative after it. Indented by 4."""
    yield "    while pc >= 0:"
    for pc, (step, jump) in enumerate(zip(program.steps, program.jump, strict=True)):
        possible = possible_outcomes(step)
        yield f"        if pc == {pc}:"
        yield f"            o = {loop.call(step)}"
        if WAIT in possible:
            yield "            spins = 0"
            yield f"            while o == {WAIT}:"
            yield "                spins += 1"
            for line in loop.waits(pc):
                yield f"                {line}"
            yield f"                o = {loop.call(step)}"
            for line in loop.waited(pc):
                yield f"            {line}"
        for line in loop.taken(pc, sorted(possible - {WAIT})):
            yield f"            {line}"
        yield f"            pc = {jump[NEXT]}"
        for outcome in sorted(possible - {NEXT, WAIT}):
            yield f"            if o == {outcome}:"
            yield f"                pc = {jump[outcome]}"
            for line in loop.jumped(outcome):
                yield f"                {line}"
