"""The memory models: against a machine that is written for this alone, and against what is published of classic shapes.

`scripts/store_buffers.py` compares a thousand drawn programs for each model.
"""

import pytest
import store_buffers
from store_buffers import drawn, ends

from shm_layout.layout import Layout
from shm_layout.placement import PACKED
from shm_layout.registers import R_USER
from shm_layout.structs import FIRST_WORD
from stress.explore import explore
from stress.explore.model import store_buffer, transition
from stress.explore.model.image import P_CHOICES, R_DONE, STRIDE
from stress.explore.model.model import build
from stress.explore.model.transition import FINISHED, WAITS, move
from stress.memory_model import NAMES

STEP = {f.__name__: f for f in store_buffers.MEANING}
MASK = (1 << 32) - 1


def shown(workload, memory, seen):
    """An end as `store_buffers.ends` gives it. ``memory``: after the constants; ``seen``: R_USER of each CPU."""
    zone = Layout(workload.machine, PACKED).regions["zone"]
    words = [memory[zone.index(0, f"litmus_{word}") - FIRST_WORD] for word in "xy"]
    return tuple((word & MASK, word >> 32 & MASK) for word in words), tuple(seen)


def by_engine(threads, memory):
    """Every end that the compiled engine finds."""
    workload = store_buffers.workload(threads)
    result = explore(store_buffers.design(threads), workload, finals=True, memory=memory)
    assert result.complete
    assert not result.violations
    assert result.outcomes == len(result.finals)
    assert result.memory == memory
    return {shown(workload, words, (r[R_USER] for r in registers)) for words, *registers in result.finals}


def in_plain_python(threads, memory):
    """Every end that the engine's transitions lead to, in plain Python."""
    workload = store_buffers.workload(threads)
    model = build(store_buffers.design(threads), workload, memory)
    p, cpus = model.p, range(len(threads))
    first = (tuple(model.memory), tuple(model.registers))
    known, queue, found = {first}, [first], set()
    while queue:
        state = queue.pop()
        following = []
        for choice in range(p[P_CHOICES]):
            m, g = list(state[0]), list(state[1])
            if move(p, m, g, choice) not in (FINISHED, WAITS):
                following.append((tuple(m), tuple(g)))
        done = all(state[1][cpu * STRIDE + R_DONE] == 1 for cpu in cpus)
        if not following and done:
            seen = (state[1][cpu * STRIDE + R_USER] for cpu in cpus)
            found.add(shown(workload, state[0][FIRST_WORD:], seen))
        queue += [after for after in following if after not in known]
        known.update(following)
    return found


@pytest.mark.parametrize("memory", NAMES)
@pytest.mark.parametrize("seed", range(12))
def test_engine_and_machine_of_buffers_agree(seed, memory):
    threads = drawn(seed)
    assert by_engine(threads, memory) == ends(threads, memory)


ONE, TWO = 13, 14
"""What a load shows of the words that write_x1 and write_x2 store; 2 is what it shows of a release."""
CLASSIC = {
    "SB": ("write_x1 read_y | write_y1 read_x", {0: [0], 1: [0]}, {}, "-++"),
    "SB with two barriers": ("write_x1 mb read_y | write_y1 mb read_x", {0: [0], 1: [0]}, {}, "---"),
    "SB with one barrier": ("write_x1 mb read_y | write_y1 read_x", {0: [0], 1: [0]}, {}, "-++"),
    "SB with wmb and rmb": ("write_x1 wmb rmb read_y | write_y1 wmb rmb read_x", {0: [0], 1: [0]}, {}, "-++"),
    "SB with an atomic": (
        "write_x1 compare_x read_y | write_y1 exchange_y read_x",
        {0: [ONE, 0], 1: [ONE, 0]},
        {},
        "---",
    ),
    "SB of releases": ("release_x read_y | release_y read_x", {0: [0], 1: [0]}, {}, "-++"),
    "SB that reads its own": (
        "write_x1 read_x read_y | write_y1 read_y read_x",
        {0: [ONE, 0], 1: [ONE, 0]},
        {},
        "-++",
    ),
    "MP": ("write_x1 write_y1 | read_y read_x", {1: [ONE, 0]}, {}, "--+"),
    "MP with wmb": ("write_x1 wmb write_y1 | read_y read_x", {1: [ONE, 0]}, {}, "---"),
    "MP with mb": ("write_x1 mb write_y1 | read_y read_x", {1: [ONE, 0]}, {}, "---"),
    "MP with rmb alone": ("write_x1 write_y1 | read_y rmb read_x", {1: [ONE, 0]}, {}, "--+"),
    "MP with release": ("write_x1 release_y | read_y read_x", {1: [2, 0]}, {}, "---"),
    "MP with a release that comes first": ("release_x write_y1 | read_y read_x", {1: [ONE, 0]}, {}, "--+"),
    "LB": ("read_x write_y1 | read_y write_x1", {0: [ONE], 1: [ONE]}, {}, "---"),
    "R": ("write_x1 write_y1 | write_y2 read_x", {1: [0]}, {"y": 2}, "-++"),
    "R with barriers": ("write_x1 mb write_y1 | write_y2 mb read_x", {1: [0]}, {"y": 2}, "---"),
    "S": ("write_x2 write_y1 | read_y write_x1", {1: [ONE]}, {"x": 2}, "--+"),
    "S with wmb": ("write_x2 wmb write_y1 | read_y write_x1", {1: [ONE]}, {"x": 2}, "---"),
    "2+2W": ("write_x1 write_y2 | write_y1 write_x2", {}, {"x": 1, "y": 1}, "--+"),
    "2+2W with wmb": ("write_x1 wmb write_y2 | write_y1 wmb write_x2", {}, {"x": 1, "y": 1}, "---"),
    "CoRR": ("write_x1 | read_x read_x", {1: [ONE, 0]}, {}, "---"),
    "CoWR": ("write_x1 read_x | write_x2", {0: [TWO]}, {"x": 1}, "---"),
    "IRIW": ("write_x1 | write_y1 | read_x read_y | read_y read_x", {2: [ONE, 0], 3: [ONE, 0]}, {}, "---"),
    "WRC": ("write_x1 | read_x write_y1 | read_y read_x", {1: [ONE], 2: [ONE, 0]}, {}, "---"),
    "RWC": ("write_x1 | read_x read_y | write_y1 read_x", {1: [ONE, 0], 2: [0]}, {}, "-++"),
    "RWC with a barrier": ("write_x1 | read_x read_y | write_y1 mb read_x", {1: [ONE, 0], 2: [0]}, {}, "---"),
    "set_pte": ("write_x_half1_1 write_x_half0_1 | read_x0 read_x1", {1: [1, 0]}, {}, "--+"),
    "set_pte with wmb": ("write_x_half1_1 wmb write_x_half0_1 | read_x0 read_x1", {1: [1, 0]}, {}, "---"),
    "a half waits in the buffer": (
        "write_x_half0_1 read_x read_y | write_y1 mb read_x0",
        {0: [1, 0], 1: [0]},
        {},
        "---",
    ),
    "a half of a whole store": (
        "write_x1 read_x0 read_y | write_y1 mb read_x",
        {0: [1, 0], 1: [0]},
        {},
        "-++",
    ),
    "the other half": ("write_x_half0_1 read_x1 read_y | write_y1 mb read_x0", {0: [0, 0], 1: [0]}, {}, "-++"),
    "stores by their index": ("plain_x read_y | plain_y read_x", {0: [0], 1: [0]}, {}, "-++"),
}
"""Steps of each thread; what each of some threads loads; final low halves; whether sc, tso, pso allow it (+) or not."""


@pytest.mark.parametrize("name", CLASSIC)
def test_classic_shapes_have_their_published_verdicts(name):
    text, loads, finals, verdicts = CLASSIC[name]
    threads = [tuple(STEP[step] for step in thread.split()) for thread in text.split("|")]
    found = ""
    for memory in NAMES:
        outcomes = by_engine(threads, memory)
        assert outcomes == ends(threads, memory)
        found += "+" if any(_fulfils(outcome, loads, finals) for outcome in outcomes) else "-"
    assert found == verdicts


def _fulfils(outcome, loads, finals):
    words, seen = outcome
    for thread, values in loads.items():
        number = 0
        for value in values:
            number = number * 16 + value
        if seen[thread] != number:
            return False
    return all(words["xy".index(word)][0] == value for word, value in finals.items())


# the engine broken on purpose, in plain Python


def _differs(memory):
    return any(in_plain_python(threads, memory) != ends(threads, memory) for threads in map(_of, CLASSIC))


def _of(name):
    return [tuple(STEP[step] for step in thread.split()) for thread in CLASSIC[name][0].split("|")]


@pytest.mark.parametrize("memory", NAMES)
def test_transitions_in_plain_python_are_those_that_are_compiled(memory):
    assert not _differs(memory)


def no_forwarding(monkeypatch):
    monkeypatch.setattr(transition, "put_over", lambda p, m, cpu, count: None)
    monkeypatch.setattr(transition, "take_off", lambda p, m, cpu, count: None)


def any_store_leaves(monkeypatch):
    def may_leave(p, m, cpu, number):
        return number < store_buffer.buffered(p, m, cpu)

    monkeypatch.setattr(transition, "may_leave", may_leave)
    monkeypatch.setattr(transition, "oldest", lambda p, m, cpu: max(0, store_buffer.buffered(p, m, cpu) - 1))


def atomics_do_not_drain(monkeypatch):
    monkeypatch.setattr(store_buffer, "READ_WRITE", -1)
    monkeypatch.setattr(store_buffer, "COMPARE", -1)


def barriers_do_not_drain(monkeypatch):
    monkeypatch.setattr(store_buffer, "FULL_BARRIER", -1)


def parts_are_forwarded(monkeypatch):
    monkeypatch.setattr(store_buffer, "covered_in_part", lambda *_: False)


def write_barriers_are_nothing(monkeypatch):
    monkeypatch.setattr(store_buffer, "mark_barrier", lambda *_: None)


def halves_are_one_place(monkeypatch):
    monkeypatch.setattr(store_buffer, "same_place", lambda kind, other: True)


@pytest.mark.parametrize(
    ("mutant", "memory"),
    [
        (no_forwarding, "tso"),
        (any_store_leaves, "tso"),
        (any_store_leaves, "pso"),
        (atomics_do_not_drain, "tso"),
        (barriers_do_not_drain, "tso"),
        (parts_are_forwarded, "tso"),
        (write_barriers_are_nothing, "pso"),
        (halves_are_one_place, "pso"),
    ],
)
def test_a_broken_engine_is_noticed(monkeypatch, mutant, memory):
    mutant(monkeypatch)
    assert _differs(memory)
