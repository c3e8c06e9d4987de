"""One drawn program under a memory model: what the search and brute force differ in."""

from __future__ import annotations

import random

import brute
import drawn

from stress.litmus.outcomes import outcomes
from stress.litmus.reading import read_test


def difference(rng: random.Random, memory: str) -> tuple[str, str]:
    """Draw a program; return it as a litmus file, and in which final states the two differ, "" for none."""
    form = rng.choice(("C", "X86"))
    threads = drawn.draw(rng, form)
    names = drawn.observed(threads)
    initial = dict.fromkeys((*drawn.WORDS, "l"), 0)
    truth = set()
    for state in brute.final_states(threads, initial, memory):
        values = {name if isinstance(name, str) else f"{name[0]}:{name[1]}": value for name, value in state}
        truth.add(tuple(values.get(name, 0) for name in names))
    text = drawn.as_c(threads) if form == "C" else drawn.as_x86(threads)
    found = outcomes(read_test(text, "drawn"), memory)
    shown = names if form == "C" else [drawn.x86_name(name) for name in names]
    got = set()
    for state in found.states:
        values = {location.key: value for location, value in state.items()}
        got.add(tuple(values[name] for name in shown))
    if not found.complete or got != truth or len(got) != len(found.states):
        return text, f"too many {sorted(got - truth)}, missing {sorted(truth - got)} of {names}"
    return text, ""
