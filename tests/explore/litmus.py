"""Small concurrent programs over two words and a lock, each as a design of own steps and as a Promela model."""

import re
import shutil
import subprocess

from shm_layout.atomic import cmpxchg, fetch_add, read_once, write_once
from shm_layout.registers import R_USER, R_VALUE
from shm_layout.structs import zone_struct
from stress.design import Design
from stress.program import Program
from stress.step import NEXT, WAIT, step
from stress.workload import Workload

X = zone_struct.word("litmus_x", "litmus tests", "a word")
Y = zone_struct.word("litmus_y", "litmus tests", "another word")
LOCK = zone_struct.word("litmus_lock", "litmus tests", "a lock")


@step
def set_x(m, r):
    write_once(m, m[X], 1)
    return NEXT


@step
def set_y(m, r):
    write_once(m, m[Y], 1)
    return NEXT


@step
def set_x2(m, r):
    write_once(m, m[X], 2)
    return NEXT


@step
def set_y2(m, r):
    write_once(m, m[Y], 2)
    return NEXT


@step
def load_x(m, r):
    r[R_USER] = r[R_USER] * 4 + read_once(m, m[X])
    return NEXT


@step
def load_y(m, r):
    r[R_USER] = r[R_USER] * 4 + read_once(m, m[Y])
    return NEXT


@step
def read_x(m, r):
    r[R_VALUE] = read_once(m, m[X])
    return NEXT


@step(private=True)
def add_one(m, r):
    r[R_VALUE] = r[R_VALUE] + 1
    return NEXT


@step
def write_x(m, r):
    write_once(m, m[X], r[R_VALUE])
    return NEXT


@step
def add_x(m, r):
    fetch_add(m, m[X], 1)
    return NEXT


@step(waits=True)
def lock(m, r):
    return NEXT if cmpxchg(m, m[LOCK], 0, 1) == 0 else WAIT


@step
def unlock(m, r):
    write_once(m, m[LOCK], 0)
    return NEXT


PROMELA = {
    set_x: "x = 1",
    set_y: "y = 1",
    set_x2: "x = 2",
    set_y2: "y = 2",
    load_x: "r[id] = r[id] * 4 + x",
    load_y: "r[id] = r[id] * 4 + y",
    read_x: "v = x",
    add_one: "v = v + 1",
    write_x: "x = v",
    add_x: "x = x + 1",
    lock: "atomic { l == 0 -> l = 1 }",
    unlock: "l = 0",
}

LOST_UPDATE = (read_x, add_one, write_x)
SHAPES = {
    "store buffering": ((set_x, load_y), (set_y, load_x)),
    "message passing": ((set_x, set_y), (load_y, load_x)),
    "load buffering": ((load_x, set_y), (load_y, set_x)),
    "IRIW": ((set_x,), (set_y,), (load_x, load_y), (load_y, load_x)),
    "2+2W": ((set_x, set_y2), (set_y, set_x2)),
    "coherence of reads": ((set_x, set_x2), (load_x, load_x)),
    "write to read causality": ((set_x,), (load_x, set_y), (load_y, load_x)),
    "S": ((set_x2, set_y), (load_y, set_x)),
    "R": ((set_x, set_y), (set_y2, load_x)),
    "lost update": (LOST_UPDATE, LOST_UPDATE, LOST_UPDATE),
    "atomic add": ((add_x, add_x), (add_x, load_x)),
    "locked update": ((lock, *LOST_UPDATE, unlock), (lock, *LOST_UPDATE, unlock), (load_x, load_x)),
}


def design(threads):
    """The threads as operations thread0, thread1, ..."""
    programs = {f"thread{i}": Program(*steps) for i, steps in enumerate(threads)}
    return Design(name="litmus", year=2004, source="tests", summary="litmus test", programs=programs)


def workload(threads):
    return Workload.parse(" | ".join(f"thread{i}" for i in range(len(threads))))


def promela(threads):
    """A model that prints x, y and what each thread loaded when all are done."""
    count = len(threads)
    lines = ["int x; int y; int l; int done;", f"int r[{count}];"]
    for i, steps in enumerate(threads):
        body = "; ".join(PROMELA[s] for s in steps)
        lines.append(f"proctype T{i}() {{ int v; int id = {i}; {body}; done = done + 1 }}")
    start = "; ".join(f"run T{i}()" for i in range(count))
    values = ", ".join(["x", "y", *(f"r[{i}]" for i in range(count))])
    shown = " ".join(["%d"] * (count + 2))
    lines.append(f'init {{ atomic {{ {start} }}; done == {count}; printf("END {shown}\\n", {values}) }}')
    return "\n".join(lines)


def spin_outcomes(threads, folder):
    """The set of (x, y, loads...) of all ends, by exhaustive search with Spin."""
    (folder / "model.pml").write_text(promela(threads))
    # Without -o2 Spin leaves out of the state what is written and only printed.
    subprocess.run(["spin", "-o1", "-o2", "-a", "model.pml"], cwd=folder, check=True, capture_output=True)
    flags = ["-DSAFETY", "-DNOREDUCE", "-DPRINTF", "-w"]
    subprocess.run(["cc", *flags, "-o", "pan", "pan.c"], cwd=folder, check=True, capture_output=True)
    out = subprocess.run(["./pan"], cwd=folder, check=True, capture_output=True, text=True).stdout
    assert re.search(r"errors: 0", out)
    return {tuple(map(int, line.split()[1:])) for line in out.splitlines() if line.strip().startswith("END")}


def missing_tools():
    return [tool for tool in ("spin", "cc") if not shutil.which(tool)]
