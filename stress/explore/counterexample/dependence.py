"""Which steps of a program decide whether another one is taken: control dependence, from its table of jumps."""

from __future__ import annotations

from functools import lru_cache

from stress.program import END, STAY, Assembled
from stress.step import possible_outcomes


@lru_cache(maxsize=256)
def decided_by(program: Assembled) -> tuple[frozenset[int], ...]:
    """For each step of a program, the branches that decide whether it is reached, by their places.

    A step depends on a branch when one way on from the branch always comes to it, and another may not (Ferrante,
    Ottenstein and Warren, TOPLAS 1987).
    """
    count = len(program.steps)
    ways = [
        {count if row[outcome] == END else row[outcome] for outcome in possible_outcomes(step)} - {STAY}
        for step, row in zip(program.steps, program.jump, strict=True)
    ]
    always = _always_reached(ways, count)
    found: list[set[int]] = [set() for _ in range(count)]
    for branch, ons in enumerate(ways):
        if len(ons) < 2:
            continue
        for on in ons:
            for step in always[on] - (always[branch] - {branch}):
                if step != count:
                    found[step].add(branch)
    return tuple(frozenset(f) for f in found)


def _always_reached(ways: list[set[int]], end: int) -> list[set[int]]:
    """For each step, those that every way from it to the end comes through: its post-dominators, and itself."""
    everything = set(range(end + 1))
    always = [set(everything) for _ in range(end)] + [{end}]
    changed = True
    while changed:
        changed = False
        for step in reversed(range(end)):
            common = set(everything)
            for on in ways[step]:
                common &= always[on]
            now = common | {step} if ways[step] else {step}
            if now != always[step]:
                always[step], changed = now, True
    return always
