"""The search against brute force, which shares nothing with it, on drawn programs."""

import random

import pytest
from compared import difference


@pytest.mark.parametrize("memory", ["sc", "tso", "pso"])
def test_drawn_programs_have_the_final_states_of_brute_force(memory):
    rng = random.Random(f"brute {memory}")
    for _ in range(100):
        text, said = difference(rng, memory)
        assert not said, f"{said}\n{text}"


def test_brute_force_knows_store_buffering_and_message_passing():
    import brute

    def allowed(threads, state, memory):
        found = brute.final_states(threads, dict.fromkeys("xy", 0), memory)
        return any(set(state) <= s for s in found)

    buffering = [[("W", "x", 1), ("R", "a", "y")], [("W", "y", 1), ("R", "b", "x")]]
    both = [((0, "a"), 0), ((1, "b"), 0)]
    assert [allowed(buffering, both, m) for m in ("sc", "tso", "pso")] == [False, True, True]
    passing = [[("W", "x", 1), ("W", "y", 1)], [("R", "a", "y"), ("R", "b", "x")]]
    stale = [((1, "a"), 1), ((1, "b"), 0)]
    assert [allowed(passing, stale, m) for m in ("sc", "tso", "pso")] == [False, False, True]
