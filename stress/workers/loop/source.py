"""The source of a worker's compiled loop: all programs of a design fused into one function.

Per operation a function ``do_<name>(m, b, r)`` performs it with what its registers hold; ``batch`` draws operations
at random, ``script`` performs a list of calls, ``sweep`` faults page after page. Importing this module imports numba.
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from string import Template
from typing import Any

from shm_layout import registers, structs
from shm_layout.errors import UsageError
from stress import checks
from stress.checks import check_functions
from stress.compiling import clock, program_loop, random_numbers
from stress.compiling.beside import perform_all
from stress.compiling.modules import WORDS, compiled_module, module_path, name_steps, refused_in_words
from stress.compiling.program_loop import Loop, loop_lines
from stress.design import Design
from stress.design_rules import check_design
from stress.kernel import fork
from stress.kernel.proc import NOT_SHOWN
from stress.labels import OUT, OUT_UNLOCK, RACED
from stress.operation import ALL, COPY, EACH, FRAME, ONE, PAGE, PROC, RANGE, SUM, Kind, kind_of
from stress.program import Assembled, assemble
from stress.step import StepFunction
from stress.workers.loop import block, helpers, read_checks
from stress.workers.loop.block import operation_numbers

_HOW_MANY = {
    "": "0",
    ONE: "1",
    COPY: "1 if r[$R_WRITE] != 0 else 0",  # a write fault may put a copy in the place of a page
    EACH: "r[$R_END] - r[$R_ADDRESS]",
    ALL: "m[$NR_PTES]",
}
"""What `Kind.maps` and `Kind.unmaps` say, in a worker's source."""


def may_change(kind: Kind, late: int | None) -> dict[str, str]:
    """Return the source of the mm that an operation may change during a read, and of the pages it may set and clear.

    ``late``: what the design says of it (`Design.late_by`), which takes precedence over its kind.
    """
    if late is not None:
        return {"mm": "-1", "plus": str(late), "minus": str(late)}
    mm = "current_mm(m, r)" if kind.on_own_mm else "-1"
    return {"mm": mm, "plus": _HOW_MANY[kind.maps], "minus": _HOW_MANY[kind.unmaps]}


def drawn_arguments(kind: Kind) -> list[str]:
    """Statements that draw what an operation is given; one that nobody declared gets a range of pages.

    Pages are drawn among those of the mm that is meant; a fork's among those that every child has.
    """
    if RANGE in kind.takes:
        return [f"random_range(m, b, r, x, {'1' if kind.starts_mm else 'current_mm(m, r)'})"]
    if kind.of_file:
        return ["r[$R_ADDRESS] = m[$ANON_END] + draw(x, m[$NR_FILE])"]
    if kind.on_other_mm:
        return ["r[$R_ARG] = 1 + draw(x << 16, m[$NR_MMS])", "random_page(m, b, r, x, r[$R_ARG] - 1)"]
    if PAGE in kind.takes:
        return ["random_page(m, b, r, x, current_mm(m, r))"]
    if FRAME in kind.takes:
        return ["r[$R_ARG] = draw(x, m[$NR_PAGES])"]
    return ["random_read(b, r, x)"] if kind.reads == PROC else []


_DO = """
@inner
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
@inner
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
        after_read(m, b, r, mm, $number, $bound)
$after    end(m, b, r, $number, oops_before)
    return status
"""
_OWN_STEP = """
@inner
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
            ended = ticks()
            b[$TICKS + op] += ended - start
            b[$TIMED + op] += 1
            sample = $SAMPLE + b[$SAMPLED] % $SAMPLES * $SAMPLE_WORDS
            b[sample] = op
            b[sample + 1] = start
            b[sample + 2] = ended
            b[$SAMPLED] += 1
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
    """Return what $NAME stands for in generated source: numbers of registers, constants and parts of a block."""
    found: dict[str, int] = {"NOT_SHOWN": NOT_SHOWN}
    for module in (structs, registers, block):
        found |= {k: v for k, v in vars(module).items() if k.isupper() and isinstance(v, int)}
    return found


def _fill(text: str, **more: object) -> str:
    return Template(Template(text).safe_substitute(more)).substitute(_symbols())


def _entry(name: str, body: str, **more: object) -> str:
    """Return what a worker does for a command, as a function of the segment and where the worker's block lies."""
    return _fill(_ENTRY, name=name) + _fill(body, **more)


def _operation(name: str, program: Assembled, steps: dict[StepFunction, str], covered: int | None) -> Iterator[str]:
    """Yield one program as a function that returns ENDED, WITHOUT_EFFECT or ABORTED.

    ``covered``: the place of its first step in part COVERED of a block, None where it is not noted what was taken.
    """

    def taken(pc: int, outcomes_: Sequence[int]) -> Iterator[str]:
        if covered is not None:
            at = block.COVERED - block.REGISTERS_AT + covered + pc
            for place, outcome in enumerate(outcomes_):
                yield f"if o == {outcome}:"
                yield f"    r[{at}] |= {1 << place}"

    yield f"\n@inner\ndef op_{name}(m, r):\n    effect = pc = 0"
    yield from loop_lines(
        program,
        Loop(
            call=lambda step: f"{steps[step]}(m, r)",
            waits=lambda pc: (f"if not keep_waiting(m, r, spins, {pc}):", f"    return {helpers.ABORTED}"),
            waited=lambda pc: (f"if spins >= {program_loop.SPINS}:", f"    r[{registers.R_PC}] = 0"),
            jumped=lambda outcome: (
                (f"effect = {helpers.WITHOUT_EFFECT}",) if outcome in {RACED, OUT, OUT_UNLOCK} else ()
            ),
            taken=lambda pc, outcomes_: tuple(taken(pc, outcomes_)),
        ),
    )
    yield "    return effect"


def _noted(design: Design, steps: dict[StepFunction, str]) -> tuple[list[str], dict[StepFunction, str]]:
    """Return the source that notes each step of the design's own, and by which name each step is called then."""
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
    """Return a hash of where the constants lie: a design of the user's own may have declared more of them."""
    digest = hashlib.sha256()
    for s in structs.STRUCTS.values():
        digest.update(repr((s.name, s.stride, s.count, [(f.name, f.constant) for f in s.fields])).encode())
    digest.update(repr(sorted((p.name, p.constant) for p in structs.PARAMETERS.values())).encode())
    return digest.hexdigest()


def covered_places(design: Design, arch: str, operations: Sequence[str]) -> dict[str, int]:
    """Where the steps of each operation begin in part COVERED of a block. Raises `UsageError` for too many steps."""
    places: dict[str, int] = {}
    count = 0
    for name in operation_numbers(design):
        if name in operations:
            places[name] = count
            count += len(assemble(design.programs[name], arch).steps)
    if count > block.COVERED_STEPS:
        raise UsageError(f"design {design.name} has {count} steps; --coverage has room for {block.COVERED_STEPS}")
    return places


def source(
    design: Design, arch: str, operations: Sequence[str], *, covered: bool = False
) -> tuple[str, dict[str, Callable[..., Any]]]:
    """Generated source for operations of a design on an arch, and the functions that it calls, by name.

    ``covered``: workers note which steps they take.

    Raises `UsageError` for a design that breaks the rules of designs and steps.
    """
    check_design(design)
    numbers = {name: number for name, number in operation_numbers(design).items() if name in operations}
    programs = {name: assemble(design.programs[name], arch) for name in numbers}
    steps = name_steps(programs.values())
    places = covered_places(design, arch, operations) if covered else {}
    lines = [f"# {design.name}, arch {arch}; constants {_constants()}"]
    noted, called = _noted(design, steps)
    lines += noted
    choices = calls = ""
    for position, (name, number) in enumerate(numbers.items()):
        lines += _operation(name, programs[name], called, places.get(name))
        kind = kind_of(name)
        after = _AFTER_FAULT if name == "fault" else _fill(_AFTER_READ, number=number) if kind.reads else ""
        text = _DO_READ if kind.reads else _DO
        exact = f" and b[{block.BOUND}] == 0" if kind.reads == SUM else ""
        bound = "0" if name in design.exact_reads else f"b[{block.BOUND}]"
        values = {"name": name, "number": number, **may_change(kind, design.late_by.get(name))}
        lines.append(_fill(text, **values, after=after, exact=exact, bound=bound))
        test = "elif" if position else "if"
        arguments = "".join(f"            {statement}\n" for statement in drawn_arguments(kind))
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
    "sweep": "int64(int64[::1], int64)",
    "script": "int64(int64[::1], int64)",
    "scan": "int64(int64[::1], int64)",
    "check": "int64(int64[::1], int64[::1], int64, int64)",
}
"""What a worker calls, with its signature; `sweep` only where there are faults and zaps."""


def is_compiled(design: Design, arch: str, operations: Sequence[str], *, covered: bool = False) -> bool:
    """Return whether `compile_design` will find its machine code on disk."""
    path = module_path(_module_name(design, arch), *source(design, arch, operations, covered=covered))
    return any(path.parent.glob(f"*/{glob.escape(path.stem)}.batch-*.nbi"))


def _module_name(design: Design, arch: str) -> str:
    return f"workers_{arch}_{design.name}"


def compile_design(
    design: Design, arch: str, operations: Sequence[str], *, covered: bool = False
) -> dict[str, Callable[..., int]]:
    """Return the compiled functions of a design, by the names of `ENTRIES`: from the disk, or compiled now.

    ``arch`` is "64" or "pae"; ``operations`` the design's operations that the workers are going to perform.
    ``covered``: workers note which steps they take.
    """
    text, functions = source(design, arch, operations, covered=covered)
    new = not is_compiled(design, arch, operations, covered=covered)
    with refused_in_words(functions.values(), design.checks):
        namespace = compiled_module(_module_name(design, arch), text, functions)
        namespace["ticks"] = clock.ticks
        entries = {name: namespace[name] for name in ENTRIES if name in namespace}
        tasks = {name: partial(entry.compile, ENTRIES[name]) for name, entry in entries.items()}
        if new:  # what is made of all operations comes when they are there
            apart = [tasks.pop(name) for name in ("scan", "check")]
            perform_all([*_operations(namespace), *apart])
            perform_all(list(tasks.values()))
        for task in tasks.values():
            task()
    return entries


def _operations(namespace: dict[str, Any]) -> list[Callable[[], object]]:
    """Compile what `batch` calls, in the order in which it does."""
    arguments = (WORDS,) * 3
    return [partial(f.compile, arguments) for name, f in namespace.items() if name.startswith("do_")]
