"""The source of a worker's compiled loop: all programs of a design fused into one function.

Per operation a function ``do_<name>(m, b, r)`` performs it with what its registers hold; ``batch`` draws operations
at random, ``script`` performs a list of calls, ``sweep`` faults page after page. Importing this module imports numba.
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Callable, Iterator, Sequence
from string import Template
from typing import Any

from shm_layout import registers, structs
from stress import checks
from stress.checks import check_functions
from stress.compiling import program_loop, random_numbers
from stress.compiling.modules import compiled_module, module_path, name_steps, refused_in_words
from stress.compiling.program_loop import Loop, loop_lines
from stress.design import Design
from stress.design_rules import check_design
from stress.kernel import fork
from stress.kernel.proc import NOT_SHOWN
from stress.labels import OUT, OUT_UNLOCK, RACED
from stress.operation import READS
from stress.program import Assembled, assemble
from stress.step import StepFunction
from stress.workers.loop import block, clock, helpers, read_checks
from stress.workers.loop.block import operation_numbers

_COPIED = "1 if r[$R_WRITE] != 0 else 0"
"""A write fault may put a copy in the place of a page, which is counted down and up."""
MAY_CHANGE: dict[str, tuple[str, str, str]] = {
    "fault": ("current_mm(m, r)", "1", _COPIED),
    "zap": ("current_mm(m, r)", "0", "r[$R_END] - r[$R_ADDRESS]"),
    "swap_out": ("-1", "0", "1"),
    "truncate": ("-1", "0", "1"),
    "access_process_vm": ("-1", "1", _COPIED),
    "use_mm": ("-1", "1", _COPIED),
    **dict.fromkeys(("fork", "clone", "exit", "exec", "tick", "precise", *READS), ("-1", "0", "0")),
}
"""By operation: the mm that it may change while somebody reads, and the pages that it may set and clear there.

An mm that is read is in use by the reader's task, or by every worker's first task (mm 0), so that neither the copy
that a fork makes nor the end of an mm changes it. What a design's own operation does is not known: anything. What a
design says in ``late_by`` takes precedence.
"""
ANYTHING = ("-1", "m[$NR_PTES]", "m[$NR_PTES]")

_OWN = "current_mm(m, r)"
_OTHER = "r[$R_ARG] - 1"
_CHILD = "1"
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "fault": (f"random_page(m, b, r, x, {_OWN})",),
    "zap": (f"random_range(m, b, r, x, {_OWN})",),
    "fork": (f"random_range(m, b, r, x, {_CHILD})",),
    "swap_out": ("r[$R_ARG] = draw(x, m[$NR_PAGES])",),
    "truncate": ("r[$R_ADDRESS] = m[$ANON_END] + draw(x, m[$NR_FILE])",),
    **dict.fromkeys(
        ("access_process_vm", "use_mm"),
        ("r[$R_ARG] = 1 + draw(x << 16, m[$NR_MMS])", f"random_page(m, b, r, x, {_OTHER})"),
    ),
    **dict.fromkeys(READS, ("random_read(b, r, x)",)),
    **dict.fromkeys(("clone", "exit", "exec", "tick", "precise"), ()),
}
"""By operation: the statements that draw what it is given; a design's own gets a range of pages.

Pages are drawn among those of the mm that is meant; a fork's among those that every child has.
"""

_DO = """
@njit
def do_$name(m, b, r):
    oops_before = r[$R_OOPS]
    begin(b, r, $number, $mm, $plus, $minus)
    status = op_$name(m, r)
    if status < 0:
        b[$ABORTS] += 1
        return status
$after    end(m, b, r, $number, oops_before)
    return status
"""
_AFTER_FAULT = """\
    if status == 0:
        b[$FAULTS + fault_kind(m, r)] += 1
"""
_AFTER_READ = """\
    b[$RESULT] = r[$R_RESIDENT]
    b[$RESULT + 1] = r[$R_SHARED]
    b[$RESULT + 2] = r[$R_ANON_RSS]
    if r[$R_RESIDENT] != $NOT_SHOWN or r[$R_SHARED] != $NOT_SHOWN:
        b[$SHOWN_BY] |= 1 << $number
"""
_DO_READ = """
@njit
def do_$name(m, b, r):
    oops_before = r[$R_OOPS]
    own = current_mm(m, r)
    mm = own if r[$R_ARG] == 0 else r[$R_ARG] - 1
    judged = b[$JUDGE] != 0 and (mm == own or (mm == 0 and b[$ONLY_OWN] == 0))$exact
    if judged:
        before_read(m, b, mm)
    begin(b, r, $number, -1, 0, 0)
    status = op_$name(m, r)
    if status < 0:
        b[$ABORTS] += 1
        return status
    if judged:
        after_read(m, b, r, mm, $number)
$after    end(m, b, r, $number, oops_before)
    return status
"""
_OWN_STEP = """
@njit
def $name(m, r):
    own_begins(r, $place)
    outcome = $step(m, r)
    own_ended(r)
    return outcome
"""
"""A step of the design's own, and a note of it for the launcher while it is under way: it may never end."""
_ENTRY = """
@njit
def $name(array, first):
    m = words(array, 0)
    b = words(array, first)
    r = words(array, first + $REGISTERS_AT)
    if not barrier(m, b, 1):
        return -1
"""
_BATCH = """\
    x = b[$SEED]
    left = b[$COUNT]
    status = 0
    began = ticks()
    while status >= 0 and not pausing(m, b):
        x = rand(x)
        u = draw(x, 1 << 30)
        timed = (x & 63) == 0
        start = ticks() if timed else 0
        x = rand(x)
        op = -1
$choices        if timed and op >= 0 and status >= 0:
            b[$TICKS + op] += ticks() - start
            b[$TIMED + op] += 1
        left -= 1
        if left == 0:
            break
    b[$ELAPSED_TICKS] += ticks() - began
    return status
"""
_CHOICE = """\
        $test u < b[$MIX + $index]:
            op = $index
$arguments            status = do_$name(m, b, r)
"""
_SCRIPT = """\
    for call in range(b[$COUNT]):
        c = words(b, $SCRIPT + call * $CALL_WORDS)
        r[$R_ADDRESS] = c[$C_ADDRESS]
        r[$R_END] = c[$C_END]
        r[$R_WRITE] = c[$C_WRITE]
        r[$R_ARG] = c[$C_ARG]
        r[$R_RESIDENT] = $NOT_SHOWN
        r[$R_SHARED] = $NOT_SHOWN
        b[$RESULT] = $NOT_SHOWN
        b[$RESULT + 1] = $NOT_SHOWN
        status = -1
$calls        if status < 0:
            return status
        c[$C_RESIDENT] = b[$RESULT]
        c[$C_SHARED] = b[$RESULT + 1]
        c[$C_ANON_RSS] = b[$RESULT + 2]
        c[$C_DONE] = 1
    return 0
"""
_CALL = """\
        $test c[$C_OP] == $number:
            status = do_$name(m, b, r)
"""
_SWEEP = """\
    began = ticks()
    for turn in range(b[$COUNT]):
        if pausing(m, b):
            break
        start = ticks()
        for address in range(b[$FIRST], b[$END]):
            r[$R_ADDRESS] = address
            r[$R_WRITE] = b[$WRITES]
            if do_fault(m, b, r) < 0:
                return -1
        b[$TICKS + $fault] += ticks() - start
        b[$TIMED + $fault] += b[$END] - b[$FIRST]
        if not barrier(m, b, turn + 2):
            return -1
        start = ticks()
        for address in range(b[$FIRST], b[$END], b[$SPAN]):
            r[$R_ADDRESS] = address
            r[$R_END] = min(b[$END], address + b[$SPAN])
            if do_zap(m, b, r) < 0:
                return -1
            b[$TIMED + $zap] += 1
        b[$TICKS + $zap] += ticks() - start
    b[$ELAPSED_TICKS] += ticks() - began
    return 0
"""
_AT_REST = """
@njit
def check(array, scratch, which, first):
    m = words(array, 0)
    w = words(scratch, 0)
    b = words(array, first)
$checks    return -1

@njit
def scan(array, first):
    m = words(array, 0)
    b = words(array, first)
    b[$RESULT] = true_rss(m, b[$TARGET])
    b[$RESULT + 1] = true_anon_rss(m, b[$TARGET])
    return 0
"""
_CHECK = """\
    if which == $which:
        return place_of(check_$which($given))
"""

_PAGE_REFS = """\
    if which == $which:
        known_refs(m, w)
$holders        return wrong_refs(m, w)
"""
_HOLDER = """\
        holder_$number(m, w)
"""
_HOLDER_OF_CPU = """\
        for worker in range(b[$WORKERS]):
            holder_$number(m, words(array, b[$BLOCKS] + worker * b[$STRIDE] + $REGISTERS_AT), w)
"""

_HELPERS: tuple[Callable[..., Any], ...] = (
    helpers.barrier,
    helpers.begin,
    random_numbers.draw,
    helpers.end,
    helpers.fault_kind,
    helpers.keep_waiting,
    helpers.own_begins,
    helpers.own_ended,
    helpers.pausing,
    random_numbers.rand,
    helpers.random_page,
    helpers.random_range,
    helpers.random_read,
    read_checks.before_read,
    read_checks.after_read,
    fork.current_mm,
    checks.true_rss,
    checks.true_anon_rss,
    checks.known_refs,
    checks.wrong_refs,
)


def _symbols() -> dict[str, int]:
    """What $NAME stands for in generated source: numbers of registers, constants and parts of a block."""
    found: dict[str, int] = {"NOT_SHOWN": NOT_SHOWN}
    for module in (structs, registers, block):
        found |= {k: v for k, v in vars(module).items() if k.isupper() and isinstance(v, int)}
    return found


def _fill(text: str, **more: object) -> str:
    return Template(Template(text).safe_substitute(more)).substitute(_symbols())


def _entry(name: str, body: str, **more: object) -> str:
    """What a worker is told to do by a command, as a function of the segment and where the worker's block lies."""
    return _fill(_ENTRY, name=name) + _fill(body, **more)


def _operation(name: str, program: Assembled, steps: dict[StepFunction, str]) -> Iterator[str]:
    """One program as a function that returns ENDED, WITHOUT_EFFECT or ABORTED."""
    yield f"\n@njit\ndef op_{name}(m, r):\n    effect = pc = 0"
    yield from loop_lines(
        program,
        Loop(
            call=lambda step: f"{steps[step]}(m, r)",
            waits=lambda pc: (f"if not keep_waiting(m, r, spins, {pc}):", f"    return {helpers.ABORTED}"),
            waited=lambda pc: (f"if spins >= {program_loop.SPINS}:", f"    r[{registers.R_PC}] = 0"),
            jumped=lambda outcome: (
                (f"effect = {helpers.WITHOUT_EFFECT}",) if outcome in {RACED, OUT, OUT_UNLOCK} else ()
            ),
        ),
    )
    yield "    return effect"


def _noted(design: Design, steps: dict[StepFunction, str]) -> tuple[list[str], dict[StepFunction, str]]:
    """Source that notes each step of the design's own, and by which name each step is called then."""
    lines, names = [], dict(steps)
    for place, step in enumerate(design.own_steps, 1):
        if step in steps:
            names[step] = f"own_{steps[step]}"
            lines.append(_fill(_OWN_STEP, name=names[step], step=steps[step], place=place))
    return lines, names


def _at_rest(design: Design) -> tuple[str, dict[str, Callable[..., Any]]]:
    functions: dict[str, Callable[..., Any]] = {}
    text = ""
    holders = ""
    for number, holder in enumerate(design.holders):
        functions[f"holder_{number}"] = holder
        holders += _fill(_HOLDER_OF_CPU if checks.takes_registers(holder) else _HOLDER, number=number)
    for which, (_, function) in enumerate(check_functions(design)):
        if function is checks.page_refs:
            text += _fill(_PAGE_REFS, which=which, holders=holders)
            continue
        functions[f"check_{which}"] = function
        given = "m, w" if checks.takes_scratch(function) else "m"
        text += _fill(_CHECK, which=which, given=given)
    return _fill(_AT_REST, checks=text), functions


def _constants() -> str:
    """A hash of where the constants lie: a design of the user's own may have declared more of them."""
    digest = hashlib.sha256()
    for s in structs.STRUCTS.values():
        digest.update(repr((s.name, s.stride, s.count, [(f.name, f.constant) for f in s.fields])).encode())
    digest.update(repr(sorted((p.name, p.constant) for p in structs.PARAMETERS.values())).encode())
    return digest.hexdigest()


def source(design: Design, arch: str, operations: Sequence[str]) -> tuple[str, dict[str, Callable[..., Any]]]:
    """Generated source for operations of a design on an arch, and the functions that it calls, by name.

    Raises `UsageError` for a design that breaks the rules of designs and steps.
    """
    check_design(design)
    numbers = {name: number for name, number in operation_numbers(design).items() if name in operations}
    programs = {name: assemble(design.programs[name], arch) for name in numbers}
    steps = name_steps(programs.values())
    lines = [f"# {design.name}, arch {arch}; constants {_constants()}"]
    noted, called = _noted(design, steps)
    lines += noted
    choices = calls = ""
    for position, (name, number) in enumerate(numbers.items()):
        lines += _operation(name, programs[name], called)
        late = design.late_by.get(name)
        mm, plus, minus = MAY_CHANGE.get(name, ANYTHING) if late is None else ("-1", str(late), str(late))
        is_read = name in (*READS, "precise")
        after = _AFTER_FAULT if name == "fault" else _fill(_AFTER_READ, number=number) if is_read else ""
        text = _DO_READ if is_read else _DO
        exact = f" and b[{block.BOUND}] == 0" if name == "precise" else ""
        values = {"name": name, "number": number, "mm": mm, "plus": plus, "minus": minus}
        lines.append(_fill(text, **values, after=after, exact=exact))
        test = "elif" if position else "if"
        given = ARGUMENTS.get(name, ARGUMENTS["zap"])
        arguments = "".join(f"            {statement}\n" for statement in given)
        choices += _fill(_CHOICE, test=test, index=number - 1, arguments=arguments, name=name)
        calls += _fill(_CALL, test=test, number=number, name=name)
    at_rest, functions = _at_rest(design)
    lines += [_entry("batch", _BATCH, choices=choices), _entry("script", _SCRIPT, calls=calls), at_rest]
    if {"fault", "zap"} <= set(numbers):
        lines.append(_entry("sweep", _SWEEP, fault=numbers["fault"] - 1, zap=numbers["zap"] - 1))
    functions |= {name: step for step, name in steps.items()}
    functions |= {helper.__name__: helper for helper in _HELPERS}
    return "\n".join(lines) + "\n", functions


ENTRIES = {
    "batch": "int64(int64[::1], int64)",
    "script": "int64(int64[::1], int64)",
    "sweep": "int64(int64[::1], int64)",
    "check": "int64(int64[::1], int64[::1], int64, int64)",
    "scan": "int64(int64[::1], int64)",
}
"""What a worker calls, with its signature; `sweep` only where there are faults and zaps."""


def is_compiled(design: Design, arch: str, operations: Sequence[str]) -> bool:
    """Whether `compile_design` will find its machine code on disk."""
    path = module_path(_module_name(design, arch), *source(design, arch, operations))
    return any(path.parent.glob(f"*/{glob.escape(path.stem)}.batch-*.nbi"))


def _module_name(design: Design, arch: str) -> str:
    return f"workers_{arch}_{design.name}"


def compile_design(design: Design, arch: str, operations: Sequence[str]) -> dict[str, Callable[..., int]]:
    """The compiled functions of a design, by the names of `ENTRIES`: from the disk, or compiled now.

    ``arch`` is "64" or "pae"; ``operations`` the design's operations that the workers are going to perform.
    """
    text, functions = source(design, arch, operations)
    with refused_in_words(functions.values(), design.checks):
        namespace = compiled_module(_module_name(design, arch), text, functions)
        namespace["ticks"] = clock.ticks
        entries = {name: namespace[name] for name in ENTRIES if name in namespace}
        for name, entry in entries.items():
            entry.compile(ENTRIES[name])
    return entries
