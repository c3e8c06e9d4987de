#!/usr/bin/env python3
"""Give the program workloads or design files that nobody would write, and see that each is taken or refused in a line.

    python scripts/fuzz_designs.py workloads 10000 1
    python scripts/fuzz_designs.py designs 10000 1

Inputs are drawn from a grammar by the seed, valid, almost valid or not at all; number N of a seed is always the same
one. Workloads are read and made ready. Design files are imported and held to the rules of steps and checks; of those
that are taken a few (``--compile``) are compiled and explored, too, as `pte-stress explore` does. Exit status: 0 when
each was taken or refused with one line, 1 when one was not, which is printed with its number.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

from shm_layout.errors import PteStressError
from stress import designs
from stress.cli import main as command_line
from stress.commands.explore import read_workload
from stress.explore.model.model import build
from stress.resolve import resolve_design

STATUSES = (0, 1, 2, 3)
"""What a command may end with: 70 is a fault of the program."""
INTERRUPTED = 128 + signal.SIGINT
SOUND = "v12_sound"
SMALL = 3_000
"""Words of the page tables of all address spaces of a workload that is made ready, at most."""

# workloads

_OPERATIONS = (*designs.get(SOUND).programs, "precise", "tick", "fualt", "FAULT", "x", "")
_FEW = ("0", "1", "2", "3", "7", "00", "-1", "1.5", "0x1", "1_0", "\uff19", "\u0663", "\xb2", "99999")
_NUMBERS = (*_FEW, "9" * 30, "9" * 601, "9" * 5000)
_PLAIN = ("w", "mm=0", "mm=1", "mm=", "frame=1", "frame=", "=", "r", "W", "'", '"', "\\", "w w")
_WORDS = (*_PLAIN, "\xe9", "\x00", "\u2028", "\U0001f4a5")
_MARKS = (";", "|", "||", ":", " ", "  ", "\t", "\n", "\r", ";;", "|||", "-", ",", "\xa0", "\x1f", "\u3000")


_VALID = (
    "fault {n}", "fault {n} w", "fault {n} w", "zap {n}", "zap {n}-{k}", "swap_out", "swap_out frame=1", "statm",
    "statm mm=0", "status", "stat", "fork", "clone", "exit", "exec", "access_process_vm {n} w mm=0",
    "use_mm {n} mm=0",
)  # fmt: skip


def _operation(draw: random.Random) -> str:
    if draw.random() < 0.9:
        n = draw.randint(0, 3)
        return draw.choice(_VALID).format(n=n, k=n + draw.randint(0, 2))
    words = [draw.choice(_OPERATIONS[:8] if draw.random() < 0.8 else _OPERATIONS)]
    if draw.random() < 0.8:
        number = draw.choice(_NUMBERS[:4] if draw.random() < 0.8 else _NUMBERS)
        words.append(number if draw.random() < 0.7 else f"{number}-{draw.choice(_NUMBERS[:6])}")
    if draw.random() < 0.4:
        words.append("w" if draw.random() < 0.6 else draw.choice(_WORDS))
    return " ".join(words)


def _text(draw: random.Random) -> str:
    columns = ["; ".join(_operation(draw) for _ in range(draw.randint(1, 3))) for _ in range(draw.randint(1, 3))]
    text = " | ".join(columns)
    if draw.random() < 0.3:
        cpu = f"{draw.choice(_NUMBERS[:3] if draw.random() < 0.8 else _NUMBERS)}: " if draw.random() < 0.5 else ""
        text = f"{cpu}{_operation(draw)} || {text}"
    return text


def _edited(draw: random.Random, text: str, pieces: tuple[str, ...]) -> str:
    """Return the text with a few pieces left out, put in, or doubled."""
    for _ in range(draw.randint(1, 4)):
        at = draw.randint(0, len(text))
        end = min(len(text), at + draw.randint(0, 3))
        text = text[:at] + draw.choice(("", draw.choice(pieces), text[at:end] * 2)) + text[end:]
    return text


def _value(draw: random.Random) -> Any:
    return draw.choice((0, 1, 2, -1, 5, True, False, None, 1.5, "x", "64", "pae", [], {}, 10**30, float("nan")))


def workload_text(draw: random.Random) -> str:
    """Draw a workload as text or as JSON."""
    kind = draw.random()
    text = _text(draw)
    if kind < 0.35:
        return text
    if kind < 0.75:
        return _edited(draw, text, (*_WORDS, *_MARKS, *_NUMBERS))
    fields = ("cpus", "mms", "anon", "frames", "arch", "batch", "swap", "mmu", "private_file", "above_4g", "x")
    machine: Any = {draw.choice(fields): _value(draw) for _ in range(draw.randint(0, 3))}
    data: Any = {"machine": machine, "operations": text if draw.random() < 0.7 else _edited(draw, text, _MARKS)}
    if draw.random() < 0.2:
        data = {**data, draw.choice(("machine", "operations", "x")): _value(draw)}
    written = json.dumps(data)
    return written if draw.random() < 0.7 else _edited(draw, written, ("{", "}", '"', ",", "[", "1", "\\", "é"))


def try_workload(text: str) -> str:
    """Read a workload and make it ready. Returns what became of it; raises what is no error in a line."""
    try:
        workload = read_workload(text, None, {})
        machine = workload.machine
        if machine.ptes * machine.mms * machine.cpus > SMALL or machine.frames > SMALL:
            return "taken, too large to be made ready"
        build(designs.get(SOUND), workload)
        str(workload)
    except PteStressError as error:
        return _refused(error)
    return "taken"


def _refused(error: PteStressError) -> str:
    if error.exit_status not in STATUSES or not str(error).strip():
        raise AssertionError(f"refused without a word, or with status {error.exit_status}") from error
    return "refused"


# designs

HEAD = """\
from dataclasses import replace
import math, random, time
import numpy as np
from shm_layout.atomic import cmpxchg, fetch_add, load, read_once, store, write_once, xchg
from shm_layout.registers import R_ADDRESS, R_EXTRA, R_MM, R_PAGE, R_USER, R_VALUE
from shm_layout.structs import MM_RSS, NR_PAGES, NR_PTES, PAGE_FLAGS, at
from stress.checks import HOLDS
from stress.design import EXACT, NO_BOUND, Bound, Design
from stress.designs import get
from stress.kernel import memory, rmap, swap
from stress.labels import AGAIN, DO_ANONYMOUS_PAGE, OUT
from stress.kernel.bug import USER, oops
from stress.program import At, Goto, Program
from stress.step import DONE, NEXT, WAIT, helper, step

TABLE, PAIR = [1, 2], (1, 2)

@helper
def twice(x):
    return 2 * x

def plain(x):
    return x + 1

"""
_INDEX = ("R_USER", "R_EXTRA", "R_VALUE", "R_VALUE", "R_USER")
_READS = ("read_once(m, at(m, PAGE_FLAGS, 1))", "load(m, at(m, MM_RSS, 0))", "m[NR_PAGES]")
_VALUES = (*(f"r[{i}]" for i in _INDEX), "0", "1", "7", "-1", "twice(3)", "PAIR[0]", "min(r[R_USER], 3)", *_READS)
_ODD_VALUES = (
    "1.5", "'x'", "None", "True", "plain(1)", "TABLE[0]", "NOWHERE", "[1, 2]", "{1: 2}", "len(m)", "m.size", "f'{1}'",
    "random.random()", "time.time()", "10**30", "1 << 70", "(1, 2)", "lambda x: x", "r", "m", "np.zeros(3)", "sum(r)",
    "m[1.5]", "m['x']", "m[0:3]", "twice()", "twice(1, 2)", "load(m)", "math.pi", "math.flor(1)", "print(1)",
    "input()", "[i for i in range(3)][0]", "{i for i in range(3)}", "sum(i for i in range(3))", "yes if r else no",
    "await x", "(yield)", "r[R_USER].bit_length()", "NEXT()", "abs()", "int('3')", "str(3)", "not r[R_USER]",
    "x := 3",
)  # fmt: skip
_OUTCOMES = ("NEXT", "NEXT", "NEXT", "DONE")
_ODD_OUTCOMES = (
    "WAIT",
    "OUT",
    "AGAIN",
    "0",
    "None",
    "True",
    "m",
    "r[0]",
    "",
    "NOWHERE",
    "NEXT or DONE",
    "NEXT + 0",
    "R_MM",
)
_ODD_STATEMENTS = (
    "global TABLE", "global PLACE\nPLACE = 1", "del r", "import os", "from os import path", "with open('x'): pass",
    "yield 1", "try:\n    r[R_USER] = 1\nexcept Exception:\n    r[R_USER] = 2",
    "try:\n    pass\nexcept ValueError as e:\n    pass", "assert r[R_USER] >= 0", "raise ValueError('x')",
    "class A: pass", "def inner(x):\n    return x", "a, *b = (1, 2, 3)", "nonlocal x", "x: int = 3", "pass", "...",
    "'text'", "for i in r:\n    pass", "break", "continue", "match r[0]:\n    case 0: pass",
    "match (1, 2):\n    case (1, x): pass", "while False:\n    pass", "print('x', r[R_USER])", "m = 3", "r = m",
    "lambda: 0", "async def f(): pass", "return", "x = y = r[R_USER]", "r[R_USER], r[R_EXTRA] = 1, 2",
    "r[R_USER] @= 3", "exec('1')", "oops(r, USER)", "é = 3", "if (n := 3) > 2: pass",
)  # fmt: skip


def _expression(draw: random.Random, odd: float) -> str:
    value = draw.choice(_ODD_VALUES) if draw.random() < odd else draw.choice(_VALUES)
    if draw.random() < 0.3:
        value = f"({value} {draw.choice(('+', '-', '*', '&', '|', '^'))} {draw.choice(_VALUES)})"
    return value


def _statement(draw: random.Random, odd: float, depth: int) -> str:
    if draw.random() < odd:
        return draw.choice(_ODD_STATEMENTS)
    value = _expression(draw, odd)
    kind = draw.randint(0, 6 if depth else 3)
    if kind <= 1:
        return f"r[{draw.choice(_INDEX)}] = {value}"
    if kind == 2:
        return f"write_once(m, at(m, PAGE_FLAGS, 1), {value})"
    if kind == 3:
        return f"r[R_VALUE] = fetch_add(m, at(m, MM_RSS, 0), {value})"
    inner = _indented(_body(draw, odd, depth - 1))
    if kind == 4:
        return f"if {value} == {_expression(draw, odd)}:\n{inner}"
    if kind == 5:
        return f"for i in range({draw.randint(0, 3)}):\n{inner}"
    return f"if {value} > 0:\n{inner}\nelse:\n{_indented(_body(draw, odd, depth - 1))}"


def _body(draw: random.Random, odd: float, depth: int) -> str:
    statements = [_statement(draw, odd, depth) for _ in range(draw.randint(1, 2))]
    if draw.random() < 0.2:
        statements.append(_return(draw, odd))
    return "\n".join(statements)


def _return(draw: random.Random, odd: float) -> str:
    outcome = draw.choice(_ODD_OUTCOMES if draw.random() < odd else _OUTCOMES)
    if draw.random() < 0.2:
        outcome = f"{outcome} if r[R_USER] == 0 else {draw.choice(_OUTCOMES)}"
    return f"return {outcome}"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))


_DECLARATIONS = (
    "@step(private=True)",
    "@step(waits=True)",
    "@step(private=True, waits=True)",
    "",
    "@helper",
    "@step(3)",
)


def _step(draw: random.Random, odd: float) -> str:
    declare = "@step" if draw.random() > odd else draw.choice(_DECLARATIONS)
    named = (
        "m, r"
        if draw.random() > odd
        else draw.choice(("", "m", "m, r, x", "*a", "m, r=0", "r, m", "m, *, r", "self, m, r"))
    )
    begin = "def" if draw.random() > odd / 4 else "async def"
    body = _body(draw, odd, 2)
    if draw.random() > odd / 2:
        body += f"\n{_return(draw, odd)}"
    return f"{declare}\n{begin} odd({named}):\n{_indented(body)}\n"


def _check(draw: random.Random, odd: float) -> str:
    named = draw.choice(("m", "m, w")) if draw.random() > odd else draw.choice(("", "m, w, x", "*a"))
    value = draw.choice(("HOLDS", "HOLDS", "load(m, at(m, MM_RSS, 0))", "1", "m[NR_PAGES]"))
    if draw.random() < odd:
        value = draw.choice(("True", "None", "m[NR_PAGES] == 0", "1.5", "'x'", "not m[NR_PAGES]", "", *_ODD_VALUES))
    first = "" if draw.random() < 0.5 else f"    x = {_expression(draw, odd).replace('r[', 'm[')}\n"
    return f"def own({named}):\n{first}    return {value}\n"


_EDITS = (
    "p.after(rmap.page_add_anon_rmap, odd)", "p.before(rmap.page_add_anon_rmap, odd)",
    "p.drop(rmap.page_add_anon_rmap)", "p.replace(rmap.page_add_anon_rmap, odd)",
    "p.swap(swap.lru_cache_add_active, rmap.page_add_anon_rmap, within=DO_ANONYMOUS_PAGE)", "Program(odd)",
    "Program(odd, p)", "Program(p, odd)", "Program(At(AGAIN), odd)", "p.after(rmap.page_add_anon_rmap, odd, odd)",
)  # fmt: skip
_ODD_EDITS = (
    "p", "None", "Program()", "Program(3)", "Program(Goto(OUT))", "Program(Goto(OUT), odd)",
    "Program(odd, Goto(AGAIN))", "(odd,)", "p.drop(odd)", "p.swap(odd, odd)", "p.splice((), odd)", "p + p", "p[1:]",
    "p[:3]", "Program(p, p)", "p.replace(odd)", "p.nothing()", "Program('x')", "Program(At(3))", "Program(At(-1))",
    "Program(At(9999), odd)", "p.drop(rmap.page_add_anon_rmap, within=OUT)", "Program(print)",
    "Program(lambda m, r: NEXT)", "Program(At('x'))",
)  # fmt: skip
_FIELDS = ("bound=NO_BOUND", "bound=EXACT", "year=2026", "summary='x'", "base=None")
_ODD_FIELDS = (
    "bound=3", "bound=None", "checks=own", "checks=[own]", "checks=(3,)", "checks=(odd,)", "checks=('own',)",
    "name=''", "name='a/b'", "name=3", "name='x' * 200", "bound=Bound('b', lambda *a: -1)",
    "bound=Bound('b', lambda *a: 10**30)",
    "bound=Bound('b', lambda c: 3)", "bound=Bound('b', lambda *a: 1 // 0)", "bound=Bound('b', lambda *a: 'x')",
    "year='x'", "bound=Bound('b', 3)", "bound=Bound('b', lambda *a: 1, lambda c: 0)", "programs={}", "programs=None",
    "programs={'t': odd}", "programs={'': Program(odd)}", "x=3", "programs={'a b': Program(odd)}",
    "programs={3: Program(odd)}", "programs={'fault': Program(odd)}", "edits=3", "name='\\n'", "base=3",
    "programs={'statm': Program(odd)}",
)  # fmt: skip
_LETTERS = ("(", ")", ":", "\n", " ", "r", "é", "\x00", "\t", "3")


def design_text(draw: random.Random) -> str:
    """Draw a design file, which defines design D."""
    odd = draw.choice((0.0, 0.0, 0.05, 0.1, 0.3))
    base = draw.choice(designs.names())
    edit = draw.choice(_EDITS if draw.random() > odd else _ODD_EDITS)
    operation = draw.choice(("fault", "fault", "zap", "t"))
    fields = [draw.choice(_FIELDS)] if draw.random() < 0.5 else []
    if draw.random() < odd:
        fields.append(draw.choice(_ODD_FIELDS))
    if draw.random() < 0.4:
        fields.append("checks=(own,)")
    text = HEAD + _step(draw, odd) + "\n" + _check(draw, odd)
    if operation == "t":
        text += f"\nD = get({base!r}).with_programs(t={edit.replace('p.', 'P.') if 'P' in edit else 'Program(odd)'})"
    else:
        text += f"\nD = get({base!r}).edit('e', 'why', name='mine', {operation}=lambda p: {edit})"
    if fields:
        text += f"\nD = replace(D, {', '.join({f.split('=')[0]: f for f in fields}.values())})"
    if draw.random() < odd / 2:
        text = text[: len(HEAD)] + _edited(draw, text[len(HEAD) :], _LETTERS)
    return text + "\n"


def try_design(path: Path, text: str) -> str:
    """Import a design file and hold its design to the rules. Returns what became of it, as `try_workload` does."""
    path.write_text(text, encoding="utf-8", newline="")
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            design = resolve_design(f"{path}:D")
        for name in {"fault", "zap", "t"} & design.programs.keys():
            build(design, read_workload(f"{name} 0", None, {}))
    except PteStressError as error:
        return _refused(error)
    return "taken"


def compile_design(path: Path) -> str:
    """Explore a little of a design that was taken, as the command does. Returns the status, in words."""
    done = CliRunner().invoke(
        command_line, ["explore", f"{path}:D", "fault 0 w | zap 0", "--max-states", "2000", "--max-seconds", "5"]
    )
    if done.exit_code == INTERRUPTED:
        raise KeyboardInterrupt
    if done.exit_code not in STATUSES or "Traceback" in done.output:
        raise AssertionError(f"status {done.exit_code}: {done.output[-2000:]}")
    if done.exit_code in (2, 3) and done.stderr.count("\n") != 1:
        raise AssertionError(f"status {done.exit_code}, not in one line: {done.stderr}")
    return f"compiled, status {done.exit_code}"


def fuzz(
    kind: str, count: int, seed: int, *, first: int = 0, compiled: int = 0, told: Callable[[str], None] = print
) -> tuple[Counter[str], int]:
    """Try inputs ``first`` to ``first + count - 1`` of a seed. Returns what became of them, and how many failed."""
    found: Counter[str] = Counter()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, first + count):
            draw = random.Random(f"{kind} {seed} {number}")
            text = workload_text(draw) if kind == "workloads" else design_text(draw)
            path = Path(folder) / f"d{number}.py"
            try:
                what = try_workload(text) if kind == "workloads" else try_design(path, text)
                found[what] += 1
                if kind == "designs" and what == "taken" and compiled:
                    compiled -= 1
                    found[compile_design(path)] += 1
            except (Exception, SystemExit):
                failed += 1
                shown = text.removeprefix(HEAD)
                told(f"number {number} of seed {seed}:\n{shown[:3000]!r}\n{traceback.format_exc(limit=-6)}")
            path.unlink(missing_ok=True)
    return found, failed


@click.command()
@click.argument("kind", type=click.Choice(["workloads", "designs"]))
@click.argument("count", type=click.IntRange(1))
@click.argument("seed", type=int)
@click.option("--first", type=click.IntRange(0), default=0, help="Number of the first input.")
@click.option("--compile", "compiled", type=click.IntRange(0), default=0, help="Designs that are compiled, at most.")
def main(kind: str, count: int, seed: int, first: int, compiled: int) -> None:
    """Try COUNT inputs of a KIND that are drawn by SEED."""
    began = time.monotonic()
    found, failed = fuzz(kind, count, seed, first=first, compiled=compiled)
    figures = ", ".join(f"{number:,} {what}" for what, number in found.most_common())
    print(f"{count:,} {kind}, seed {seed}: {figures}; {failed:,} failed; {time.monotonic() - began:.0f} s")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
