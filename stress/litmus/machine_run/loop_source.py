"""The compiled loop of one process: its thread of a test, on all instances of a batch, batch after batch.

Memory of a run, in words: `HEAD` words that all processes share, then for each batch's instances the words of the test,
then what each thread's registers were. Where the words of an instance lie, the order of the instances and how far the
threads are apart is drawn for each batch, alike in all processes.
"""

from __future__ import annotations

from string import Template

from stress.litmus import instructions as i
from stress.litmus.conditions import Location
from stress.litmus.flow import operands
from stress.litmus.instructions import FIRST_CONSTANT
from stress.litmus.test import Test, Thread
from stress.litmus.unsupported import Unsupported
from stress.litmus.values import ADDRESS_STEP, FIRST_ADDRESS

INSTANCES = 1 << 14
"""Instances of a batch."""
ARRIVED, GENERATION, STOP, BATCHES, BLOCKED = 0, 8, 16, 24, 32
"""Shared words, each in a cache line of its own."""
HEAD = 64
LINE = 8
"""Words of a cache line."""
STEPS = 4
"""Different distances from one instance to the next in time: 1, 3, 5, ..."""
APART = 32
"""Instances that two threads may be apart at the beginning of a batch."""
TRIES = 20_000_000
"""Looks at a lock before the run gives up: its holder waits for ever."""
OUTCOMES = 1 << 12
"""Different final states of one process that are counted."""
GIVEN_UP = 2
"""In the word that stops a run: at once, not behind the batch."""
REGION = INSTANCES * LINE
"""Words between two words of an instance."""

_ARITHMETIC = {
    i.ADD: "+",
    i.SUB: "-",
    i.MUL: "*",
    i.AND: "&",
    i.OR: "|",
    i.XOR: "^",
    i.SHIFT_LEFT: "<<",
    i.SHIFT_RIGHT: ">>",
}
_COMPARISONS = {
    i.EQUAL: "==",
    i.DIFFER: "!=",
    i.LESS: "<",
    i.LESS_OR_EQUAL: "<=",
    i.GREATER: ">",
    i.GREATER_OR_EQUAL: ">=",
}
_HEAD = f"""import numba
from shm_layout.atomic import cmpxchg, cpu_relax, fence, fetch_add, fetch_and, fetch_or
from shm_layout.atomic import load, read_once, sched_yield, store, write_once, xchg
from stress.compiling.random_numbers import draw, rand
from stress.litmus.machine_run.barrier import compiler_barrier

inlined = numba.njit(forceinline=True)
rand = numba.njit(rand)
draw = numba.njit(draw)

@numba.njit
def meet(m, threads):
    generation = load(m, {GENERATION})
    if fetch_add(m, {ARRIVED}, 1) == threads - 1:
        store(m, {ARRIVED}, 0)
        store(m, {GENERATION}, generation + 1)
        return
    spins = 0
    while load(m, {GENERATION}) == generation and load(m, {STOP}) != {GIVEN_UP}:
        spins += 1
        if spins > 2000:
            sched_yield()
        else:
            cpu_relax()

@numba.njit
def acquired(m, at, holder):
    tries = 0
    while cmpxchg(m, at, 0, holder) != 0:
        tries += 1
        if tries > {TRIES}:
            store(m, {BLOCKED}, 1)
            store(m, {STOP}, {GIVEN_UP})
            return
        if load(m, {STOP}) == {GIVEN_UP}:
            return
        if tries % 1000 == 0:
            sched_yield()
        else:
            cpu_relax()
"""
_LOOP = Template("""
@inlined
def body(m, base, o):
$body

@njit
def run(array, seed, table_, index_, counts_):
    m = words(array, 0)
    table = words(table_, 0)
    index = words(index_, 0)
    counts = words(counts_, 0)
    x = seed
    found = 0
    batch = 0
    while True:
        if $thread == 0 and load(m, $STOP) == 0:
            store(m, $BATCHES, batch + 1)
        meet(m, $threads)
        if load(m, $BATCHES) <= batch:
            return found
        x = rand(x)
        spacing = 1 << draw(x, 4)
        x = rand(x)
        step = 2 * draw(x, $STEPS) + 1
        x = rand(x)
        at = draw(x, $INSTANCES)
        for t in range($threads):
            x = rand(x)
            if t == $thread and x & 8:
                at += draw(x, $APART)
        for n in range($first, $last):
            base = $HEAD + n * spacing
$reset
        meet(m, $threads)
        for n in range($INSTANCES):
            instance = (at + n * step) & ($INSTANCES - 1)
            body(m, $HEAD + instance * spacing, $registers_at + instance * $registers)
        meet(m, $threads)
        if load(m, $STOP) == $GIVEN_UP:
            return found
        for n in range($first, $last):
            base = $HEAD + n * spacing
            row = found * $columns
            h = 0
$gather
            place = (h ^ (h >> 29)) & (2 * $OUTCOMES - 1)
            while True:
                known = index[place] - 1
                if known < 0:
                    break
                same = True
                for column in range($columns):
                    if table[known * $columns + column] != table[row + column]:
                        same = False
                if same:
                    break
                place = (place + 1) & (2 * $OUTCOMES - 1)
            if known < 0:
                known = found
                if found < $OUTCOMES - 1:
                    found += 1
                    index[place] = found
            counts[known] += 1
        batch += 1
""")


def unfit(test: Test) -> None:
    """Raise `Unsupported` for a test that cannot run on the machine's memory."""
    for thread in test.threads:
        for row, place in zip(thread.code, thread.places, strict=True):
            if row[0] in (i.RCU_LOCK, i.SYNC):
                raise Unsupported("RCU with --run", place)
            if row[0] in (i.ALU, i.FETCH) and row[5] in (i.DIV, i.MOD):
                raise Unsupported("division with --run", place)


class Layout:
    """Where the memory of a run lies, in words."""

    def __init__(self, test: Test, observed: list[Location]) -> None:
        """Lay it out for a test, of which these locations are observed."""
        self.observed = observed
        self.own = [sorted({o.name for o in observed if o.thread == t}) for t in range(len(test.threads))]
        self.registers_at = []
        at = HEAD + len(test.words) * REGION
        for own in self.own:
            self.registers_at.append(at)
            at += INSTANCES * max(1, len(own))
        self.size = at


def loop_source(test: Test, number: int, layout: Layout) -> str:
    """Return the source of the loop of thread ``number``; its function ``run`` is what a process calls."""
    count = len(test.threads)
    own = layout.own[number]
    gather = []
    for column, location in enumerate(layout.observed):
        if location.thread < 0:
            value = f"read_once(m, base + {test.words.index(location.name) * REGION})"
        else:
            theirs = layout.own[location.thread]
            at = layout.registers_at[location.thread] + theirs.index(location.name)
            value = f"m[{at} + n * {max(1, len(theirs))}]"
        gather += [f"value = {value}", f"table[row + {column}] = value", "h = (h ^ value) * 0x9E3779B97F4A7C1"]
    reset = [f"write_once(m, base + {word * REGION}, {value})" for word, value in enumerate(test.initial)]
    return _HEAD + _LOOP.substitute(
        body=_indented(1, [*_body(test.threads[number], number), *_kept(test.threads[number], own), "return 0"]),
        thread=number,
        threads=count,
        first=INSTANCES * number // count,
        last=INSTANCES * (number + 1) // count,
        reset=_indented(3, reset or ["pass"]),
        gather=_indented(3, gather or ["pass"]),
        columns=max(1, len(layout.observed)),
        registers_at=layout.registers_at[number],
        registers=max(1, len(own)),
        **{
            name: globals()[name]
            for name in ("STOP", "STEPS", "BATCHES", "GIVEN_UP", "INSTANCES", "APART", "HEAD", "OUTCOMES")
        },
    )


def _indented(levels: int, lines: list[str]) -> str:
    return "\n".join(" " * 4 * levels + line for line in lines)


def _kept(thread: Thread, own: list[str]) -> list[str]:
    """Lines that keep the registers that are observed."""
    return [f"m[o + {k}] = r{thread.registers[name]}" for k, name in enumerate(own)]


def _body(thread: Thread, number: int) -> list[str]:
    """Lines that perform a thread's instructions. Those that a jump passes are guarded by ``skip``."""
    lines = [f"r{k} = {thread.initial.get(k, 0)}" for k in range(thread.count)]
    targets = {row[2] for row in thread.code if row[0] == i.JUMP} | {
        r[3] for r in thread.code if r[0] == i.JUMP_IF_ZERO
    }
    branches = bool(targets)
    if branches:
        lines.append("skip = 0")
    guarded = False
    for at, row in enumerate(thread.code):
        if at in targets or (at > 0 and thread.code[at - 1][0] in (i.JUMP, i.JUMP_IF_ZERO)):
            lines.append(f"if skip <= {at}:")
            guarded = True
        made = _instruction(row, number)
        lines += [("    " if guarded else "") + line for line in made]
    return lines


def _instruction(row: i.Row, number: int) -> list[str]:
    op, d, a, b, c, k = row
    x, y, z = (_operand(o) if n < len(operands(row)) else "" for n, o in enumerate((a, b, c)))
    if op == i.MOVE:
        return [f"r{d} = {x}"]
    if op == i.ALU:
        return [
            f"r{d} = 1 if {x} {_COMPARISONS[k]} {y} else 0" if k in _COMPARISONS else f"r{d} = {x} {_ARITHMETIC[k]} {y}"
        ]
    if op == i.NOT:
        return [f"r{d} = 1 if {x} == 0 else 0"]
    if op == i.JUMP:
        return [f"skip = {a}"]
    if op == i.JUMP_IF_ZERO:
        return [f"if {x} == 0:", f"    skip = {b}", "else:", "    pass"]
    if op == i.HALT:
        return ["pass"]
    return [*_access(row, number, y, z), "compiler_barrier()"]


def _access(row: i.Row, number: int, y: str, z: str) -> list[str]:
    """Lines for an access to memory, without the barrier for the compiler behind it."""
    op, d, a, _, _, k = row
    if op == i.FENCE:
        return ["fence()"]
    if op == i.WMB:
        return []
    at = _address(a)
    if op == i.LOAD:
        return [f"r{d} = read_once(m, {at})"]
    if op == i.STORE:
        return [f"write_once(m, {at}, {y})"]
    if op == i.XCHG:
        return [f"r{d} = xchg(m, {at}, {y})"]
    if op == i.CMPXCHG:
        return [f"r{d} = cmpxchg(m, {at}, {y}, {z})"]
    if op == i.FETCH and k in (i.ADD, i.SUB):
        return [f"r{d} = fetch_add(m, {at}, {'-' if k == i.SUB else ''}{y})"]
    if op == i.FETCH and k in (i.AND, i.OR):
        return [f"r{d} = fetch_{'and' if k == i.AND else 'or'}(m, {at}, {y})"]
    if op == i.LOCK:
        return [f"acquired(m, {at}, {number + 1})"]
    if op == i.UNLOCK:
        return [f"write_once(m, {at}, 0)"]
    if op == i.TRYLOCK:
        return [f"r{d} = 1 if cmpxchg(m, {at}, 0, {number + 1}) == 0 else 0"]
    if op == i.IS_LOCKED:
        return [f"r{d} = 1 if read_once(m, {at}) != 0 else 0"]
    change = f"old {_ARITHMETIC[k]} {y}" if op == i.FETCH else f"old + {y}"
    lines = [f"old = read_once(m, {at})", "while True:", f"    seen = cmpxchg(m, {at}, old, {change})"]
    if op == i.ADD_UNLESS:
        lines.insert(2, f"    if old == {z}:")
        lines.insert(3, "        fence()")
        lines.insert(4, "        seen = old")
        lines.insert(5, "        break")
    lines += ["    if seen == old:", "        break", "    old = seen"]
    return [*lines, f"r{d} = 1 if old != {z} else 0" if op == i.ADD_UNLESS else f"r{d} = old"]


def _operand(operand: int) -> str:
    return f"r{operand}" if operand < FIRST_CONSTANT else f"({operand - i.CONSTANT})"


def _address(operand: int) -> str:
    if operand >= FIRST_CONSTANT:
        return f"base + {(operand - i.CONSTANT - FIRST_ADDRESS) // ADDRESS_STEP * REGION}"
    return f"base + (r{operand} - {FIRST_ADDRESS}) // {ADDRESS_STEP} * {REGION}"
