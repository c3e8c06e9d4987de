"""A counter's fragments as machine code, the loops that are timed, and the bare loops that those are held against.

What the loops of `stress.rss.working` are given are addresses of fragments. A loop that is timed has the steps of a
change in line, because a call would take as long as they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from string import Template
from textwrap import indent
from typing import Any

from numba import types

from shm_layout import atomic, registers, structs
from stress.compiling import program_loop
from stress.compiling.beside import Task
from stress.compiling.disk_cache import left_to_compile
from stress.compiling.modules import WORDS, address_of, compiled_module, name_steps
from stress.compiling.program_loop import Loop, loop_lines
from stress.program import Assembled, Program, assemble
from stress.rss import arena
from stress.rss.stack_registers import own_registers
from stress.rss.subjects import Subject
from stress.step import StepFunction

LOOP = (types.Array(types.int64, 1, "C"), types.int64, types.int64)
"""What a loop that is timed is given: the segment's words, the first of a worker's block, how often."""

_BEGIN = """import numba
inlined = numba.njit(forceinline=True)
"""
_LOOPS = """
@njit
def start(theirs, r):
    r[$R_CPU] = theirs[$R_CPU]
    r[$R_CURRENT] = theirs[$R_CURRENT]
    return 0

@njit
def cost_up(array, first, count):
    m = words(array, 0)
    r = own_registers()
    start(words(array, first + $REGISTERS_AT), r)
    for _ in range(count):
        r[$R_MM] = 0
        up_inlined(m, r)
    return 0

@njit
def bare(array, first, count):
    m = words(array, 0)
    r = own_registers()
    start(words(array, first + $REGISTERS_AT), r)
    for _ in range(count):
$bare
    return 0
"""

_TASK = """
current = r[$R_CURRENT] * m[$TASK_STRIDE]
if m[m[$TASK_MM] + current] != r[$R_MM]:
    fetch_add(m, m[$MM_RSS] + r[$R_MM] * m[$MM_STRIDE], 1)
    continue
"""
_OWN_TASK = (
    _TASK
    + """
if (m[m[$TASK_FLAGS] + current] & 1) != 0:
    fetch_add(m, m[$MM_RSS] + r[$R_MM] * m[$MM_STRIDE], 1)
    continue
task = m[$TASK_RSS] + current
write_once(m, task, read_once(m, task) + 1)
"""
)
_CPU = "cpu = m[$CPU_RSS] + (r[$R_CPU] * m[$NR_MMS] + r[$R_MM]) * m[$RSS_STAT_STRIDE]\n"

BARE: dict[str, str] = {
    "plain_mm": "rss = m[$MM_RSS] + r[$R_MM] * m[$MM_STRIDE]\nwrite_once(m, rss, read_once(m, rss) + 1)",
    "atomic_mm": "fetch_add(m, m[$MM_RSS] + r[$R_MM] * m[$MM_STRIDE], 1)",
    "plain_task": _OWN_TASK,
    "task_then_locked_mm": _OWN_TASK
    + """
if read_once(m, task) > 16:
    rss = m[$MM_RSS] + r[$R_MM] * m[$MM_STRIDE]
    anon_rss = m[$MM_ANON_RSS] + r[$R_MM] * m[$MM_STRIDE]
    lock = m[$MM_PAGE_TABLE_LOCK] + r[$R_MM] * m[$MM_STRIDE]
    anon_task = m[$TASK_ANON_RSS] + current
    while load(m, lock) != 0 or cmpxchg(m, lock, 0, 1) != 0:
        cpu_relax()
    write_once(m, rss, read_once(m, rss) + read_once(m, task))
    write_once(m, anon_rss, read_once(m, anon_rss) + read_once(m, anon_task))
    write_once(m, task, 0)
    write_once(m, anon_task, 0)
    store(m, lock, 0)
""",
    "task_then_atomic_mm": _TASK
    + """
events = m[$TASK_EVENTS] + current
task = m[$TASK_RSS] + current
if read_once(m, events) >= 64:
    fetch_add(m, m[$MM_RSS] + r[$R_MM] * m[$MM_STRIDE], read_once(m, task))
    write_once(m, task, 0)
    fetch_add(m, m[$MM_ANON_RSS] + r[$R_MM] * m[$MM_STRIDE], 0)
    write_once(m, m[$TASK_ANON_RSS] + current, 0)
    write_once(m, events, 0)
write_once(m, events, read_once(m, events) + 1)
write_once(m, task, read_once(m, task) + 1)
""",
    "cpu_then_locked_mm": _CPU
    + """
value = read_once(m, cpu) + 1
if abs(value) < m[$BATCH]:
    write_once(m, cpu, value)
else:
    lock = m[$MM_RSS_LOCK] + r[$R_MM] * m[$MM_STRIDE]
    rss = m[$MM_RSS] + r[$R_MM] * m[$MM_STRIDE]
    while load(m, lock) != 0 or cmpxchg(m, lock, 0, 1) != 0:
        cpu_relax()
    write_once(m, rss, read_once(m, rss) + value)
    write_once(m, cpu, 0)
    store(m, lock, 0)
""",
    "cpu_then_atomic_mm": """
if m[$TREE_LEVELS] == 0:
    fetch_add(m, m[$MM_RSS] + r[$R_MM] * m[$MM_STRIDE], 1)
    continue
"""
    + _CPU
    + """
batch = m[$BATCH]
value = read_once(m, cpu)
write_once(m, cpu, value + 1)
carried = ((value + 1) & ~(batch - 1)) - (value & ~(batch - 1))
if carried != 0:
    level = 1
    while level < m[$TREE_LEVELS] and carried != 0:
        batch = batch << ((m[$TREE_ORDERS] >> (4 * (level - 1))) & 15)
        old = fetch_add(m, m[$NODE_COUNT] + level * m[$NODE_STRIDE], carried)
        carried = ((old + carried) & ~(batch - 1)) - (old & ~(batch - 1))
        level += 1
    if carried != 0:
        fetch_add(m, m[$MM_RSS] + r[$R_MM] * m[$MM_STRIDE], carried)
""",
    "flag_then_plain_mm": """
if load(m, m[$MM_SINGLE] + r[$R_MM] * m[$MM_STRIDE]) != 0:
    current = r[$R_CURRENT] * m[$TASK_STRIDE]
    if m[m[$TASK_MM] + current] != r[$R_MM] or (m[m[$TASK_FLAGS] + current] & 1) != 0:
        fetch_add(m, m[$MM_RSS] + r[$R_MM] * m[$MM_STRIDE], 1)
        continue
    local = m[$MM_LOCAL_RSS] + r[$R_MM] * m[$MM_STRIDE]
    write_once(m, local, read_once(m, local) + 1)
    continue
"""
    + _CPU
    + """
value = read_once(m, cpu) + 1
if abs(value) < m[$BATCH]:
    write_once(m, cpu, value)
else:
    lock = m[$MM_RSS_LOCK] + r[$R_MM] * m[$MM_STRIDE]
    while load(m, lock) != 0 or cmpxchg(m, lock, 0, 1) != 0:
        cpu_relax()
    fetch_add(m, m[$MM_RSS] + r[$R_MM] * m[$MM_STRIDE], value)
    write_once(m, cpu, 0)
    store(m, lock, 0)
""",
}
"""What one change comes down to: every access to memory that it makes, its tests included."""
_COST_OF_READ = """
@njit
def cost_$name(array, first, count):
    m = words(array, 0)
    r = own_registers()
    start(words(array, first + $REGISTERS_AT), r)
    total = 0
    for _ in range(count):
        r[$R_MM] = 0
        $name(m, r)
        total += r[$R_RESIDENT]
    return total
"""


_ATOMICS = ("read_once", "write_once", "load", "store", "cmpxchg", "fetch_add", "cpu_relax", "sched_yield")


def _symbols() -> dict[str, int]:
    found: dict[str, int] = {}
    for module in (structs, registers, arena):
        found |= {k: v for k, v in vars(module).items() if k.isupper() and isinstance(v, int)}
    return found


def _function(name: str, program: Assembled, steps: dict[StepFunction, str], inlined: bool) -> Iterator[str]:
    """Yield a program as a function that waits where a step waits; inlined with all its steps where it is called."""
    suffix = "_inlined" if inlined else ""
    yield f"\n@{'inlined' if inlined else 'inner'}\ndef {name}{suffix}(m, r):\n    pc = 0"
    yield from loop_lines(
        program,
        Loop(
            call=lambda step: f"{steps[step]}{suffix}(m, r)",
            waits=lambda pc: ("cpu_relax()", f"if spins % {program_loop.SPINS} == 0:", "    sched_yield()"),
        ),
    )
    yield "    return pc"


@cache
def compile_subject(subject: Subject) -> dict[str, Any]:
    """Return what is compiled of a counter, by name: its fragments up, down, read, precise and tick, and loops.

    Those are cost_up, cost_read, cost_precise and bare. Machine code is made at the first call, or read from disk.
    """
    fragments = {
        "up": subject.up,
        "down": subject.down,
        "read": subject.read,
        "precise": subject.precise or subject.read,
        **{f"tick_{number}": tick for number, tick in enumerate(subject.ticks)},
    }
    programs = {name: assemble(Program(fragment), "64") for name, fragment in fragments.items()}
    steps = name_steps(programs.values())
    symbols = _symbols()
    bare = indent(Template(BARE[subject.bare] if subject.bare else "pass").substitute(symbols).strip(), " " * 8)
    ticks = "".join(f"    tick_{number}(m, r)\n" for number in range(len(subject.ticks)))
    text = _BEGIN + "".join(
        "\n".join(_function(name, program, steps, inlined)) + "\n"
        for name, program in programs.items()
        for inlined in (False, True)
        if name == "up" or not inlined
    )
    text += f"\n@inner\ndef tick(m, r):\n{ticks}    return 0\n"
    text += Template(_LOOPS).substitute(symbols, bare=bare)
    text += "".join(Template(_COST_OF_READ).substitute(symbols, name=name) for name in ("read", "precise"))
    functions: dict[str, Callable[..., Any]] = {name: step for step, name in steps.items()}
    namespace = compiled_module(f"rss_{subject.name}", text, functions)
    namespace.update({f"{steps[s]}_inlined": namespace["inlined"](s) for s in programs["up"].steps})
    namespace["own_registers"] = own_registers
    namespace.update({name: getattr(atomic, name) for name in _ATOMICS})  # compiled by shm_layout.lowering
    return namespace


@dataclass(frozen=True)
class Fragments:
    """Addresses of a counter's fragments, each ``(memory, registers) -> int64``."""

    up: int
    down: int
    read: int
    precise: int
    tick: int


_FRAGMENTS = tuple(field.name for field in fields(Fragments))


def fragments(subject: Subject) -> Fragments:
    """Return the counter's fragments as machine code, compiled or read from disk now. It stays for good."""
    functions = compile_subject(subject)
    return Fragments(*(address_of(functions[name], (WORDS, WORDS)) for name in _FRAGMENTS))


def missing_fragments(subject: Subject) -> list[Task]:
    """Return what is to be done for the fragments of a counter that are not on disk: compile them."""
    functions = compile_subject(subject)
    return [task for name in _FRAGMENTS for task in left_to_compile(functions[name], (WORDS, WORDS))]


def missing_loops(subject: Subject) -> list[Task]:
    """Return what is to be done for the timed loops of a counter that are not on disk: compile them."""
    functions = compile_subject(subject)
    names = ["cost_up", "bare" if subject.bare else "", "cost_read", "cost_precise" if subject.precise else ""]
    return [task for name in names if name for task in left_to_compile(functions[name], LOOP)]
