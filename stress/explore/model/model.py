"""A design and a workload made ready: the first state, and the image of programs and operations.

Everything here is plain Python (lists of ints), so that `replay` needs neither numba nor numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from shm_layout.errors import UsageError
from shm_layout.layout import Layout
from shm_layout.machine import Machine
from shm_layout.placement import PACKED
from shm_layout.record import NOTED, new_record
from shm_layout.registers import KEPT, R_ADDRESS, R_ARG, R_END, R_OOPS, R_OP, R_WRITE, REGISTERS
from shm_layout.structs import FIRST_WORD, LINE_WORDS, NR_ALL_PTES, SHADOWS, STRUCTS, task_struct
from shm_layout.words import Words
from stress import checks
from stress.design import Design
from stress.design_rules import check_design
from stress.designs.parts.counter_checks import words_of_cpus
from stress.explore.model import image
from stress.explore.model import symmetry as interchangeable
from stress.explore.model.fences import refuse_fences
from stress.explore.model.image import OP_ROW, P_CPU, STRIDE, SUMMED
from stress.explore.model.raised import DesignError, told
from stress.explore.model.read_interval import BITS
from stress.explore.model.step_table import functions, is_users, is_watched, library, own_functions
from stress.explore.model.store_buffer import ENTRY_OF_BUFFER
from stress.kernel.boot import boot, boot_registers
from stress.labels import outcomes
from stress.memory_model import PSO, SC, TSO, MemoryModel
from stress.memory_model import memory_model as memory_model_of
from stress.operation import Operation
from stress.program import END, STAY, Assembled, Program, assemble
from stress.report.words import did_you_mean, plural
from stress.step import StepFunction, info
from stress.system.never_ends import NeverEnds, bounded
from stress.workload import Workload

MOST_WORDS = 1 << 22
"""Words of a machine to explore: each state is made from all of them."""
SETUP_STEPS = 100_000
"""Steps of one operation of the setup, at most."""


ENTRIES = 16
"""Stores that the buffer of a CPU holds at most, where there are buffers."""


def scratch_words(model: Model) -> list[int]:
    """Return what checks at rest work on: a CPU's registers, a memory, and registers with a word for each frame."""
    return [*[0] * STRIDE, *model.memory, *[0] * STRIDE, *[0] * model.workload.machine.frames]


class SetupError(UsageError):
    """An operation of the setup that waits for ever, never ends, or breaks a check, when it is performed alone."""


@dataclass(frozen=True)
class Model:
    """A design and a workload, ready to be explored.

    ``p``: the image (`stress.explore.model.image`), with the steps as Python functions. ``memory``: the first state,
    the constants and the store buffers included. ``registers``: of all CPUs, `STRIDE` words each. ``rows``: for each
    row of the programs the operation and its step.
    """

    design: Design
    workload: Workload
    layout: Layout
    p: list[Any]
    memory: list[int]
    registers: list[int]
    rows: list[tuple[str, StepFunction]]
    memory_model: MemoryModel


def check_operations(design: Design, workload: Workload) -> None:
    """Raise `UsageError` when the workload has an operation that the design has not."""
    for operation in workload.operations():
        if operation.name not in design.programs:
            hint = did_you_mean(operation.name, design.programs)
            raise UsageError(f"design {design.name} has no operation {operation.name!r}{hint}")


def last_page(workload: Workload, operation: Operation) -> int:
    """Return R_END of an operation: one that acts on a whole mm by default (fork) is given all pages."""
    return operation.end or (workload.machine.ptes if operation.kind.is_whole_mm else 0)


def _set_arguments(design: Design, workload: Workload, r: list[int], operation: Operation) -> None:
    r[R_OP] = design.numbers[operation.name]
    r[R_ADDRESS] = operation.address
    r[R_END] = last_page(workload, operation)
    r[R_WRITE] = int(operation.write)
    r[R_ARG] = operation.arg


class _Bounded(list[int]):
    """Words in plain Python whose indices are looked at: a list takes negative ones from its end."""

    first = 0
    """The first word that may be written."""

    def __getitem__(self, index: Any, /) -> Any:
        """Return the word ``index``. Raises `IndexError` for one that is not there."""
        if not 0 <= index < len(self):
            raise IndexError(f"word {index:,} of {len(self):,}")
        return super().__getitem__(index)

    def __setitem__(self, index: Any, value: Any, /) -> None:
        """Set it. Raises `IndexError` for a constant, too."""
        if not self.first <= index < len(self):
            what = "constant" if 0 <= index < self.first else "word"
            raise IndexError(f"{what} {index:,} of {len(self):,} is written")
        super().__setitem__(index, value)


class _Memory(_Bounded):
    """The memory, whose constants are not written."""

    first = FIRST_WORD


def _take(step: StepFunction, m: list[int], r: list[int], what: str) -> int:
    """Take one step of the setup. Raises `SetupError` for a failed assertion, `DesignError` for another exception."""
    try:
        return step(m, r)
    except NeverEnds:
        raise
    except AssertionError as error:
        where = f"operation {what!r} of the setup breaks user, in step {info(step).name}"
        raise SetupError(f"{where}: {told(error)}: let a CPU perform it, after '||'") from None
    except Exception as error:
        name = info(step).name
        raise DesignError(f"step {name} raises an exception in {what!r} of the setup: {told(error)}") from None


def _perform(program: Assembled, m: list[int], r: list[int], what: str) -> None:
    pc = 0
    for _ in range(SETUP_STEPS):
        if pc == END:
            break
        before = list(r)
        to = program.jump[pc][_take(program.steps[pc], m, r, what)]
        if to == STAY and before != r:
            continue  # it tries again, as a worker does, with the registers as it left them
        if to == STAY:
            raise SetupError(f"operation {what!r} of the setup waits for ever in {info(program.steps[pc]).name}")
        pc = to
    else:
        raise SetupError(f"operation {what!r} of the setup does not end")
    if broken := checks.oops_names(r[R_OOPS]):
        # R_OOPS is kept: the first step of the CPU after the setup would be blamed.
        raise SetupError(f"operation {what!r} of the setup breaks {broken[0]}: let a CPU perform it, after '||'")
    for i in range(KEPT, len(r)):
        r[i] = 0


@lru_cache(maxsize=64)
def _booted(machine: Machine, declared: tuple[int, ...]) -> tuple[Layout, tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Return the layout of a machine, and its memory and the registers of its CPUs before the setup.

    ``declared``: the number of fields of each structure, since a user's file may declare more of them.
    """
    layout = Layout(machine, PACKED)
    if layout.words > MOST_WORDS:
        raise UsageError(f"a machine to explore is small: this one has {layout.words:,} words, at most {MOST_WORDS:,}")
    memory = [0] * layout.words
    boot(layout, memory)
    files = []
    for cpu in range(machine.cpus):
        r = [0] * REGISTERS
        boot_registers(layout, r, cpu)
        files.append(tuple(r))
    return layout, tuple(memory), tuple(files)


def _first_state(design: Design, workload: Workload) -> tuple[Layout, list[int], list[int]]:
    declared = tuple(len(struct.fields) for struct in STRUCTS.values())
    layout, booted, booted_files = _booted(workload.machine, declared)
    memory, files = _Memory(booted), [_Bounded(r) for r in booted_files]
    for cpu, operation in workload.setup:
        _set_arguments(design, workload, files[cpu], operation)
        program = assemble(design.programs[operation.name], workload.machine.arch)
        try:
            with bounded(design.own_steps):
                _perform(program, memory, files[cpu], str(operation))
        except NeverEnds as endless:
            raise SetupError(f"operation '{operation}' of the setup does not end: step {endless.name}") from None
    return layout, list(memory), [word for r in files for word in (*r, *[0] * (STRIDE - REGISTERS))]


@dataclass(frozen=True)
class _Code:
    """Programs put one after another: ``begins`` the row of each, ``rows`` and ``words`` of all of them."""

    begins: dict[str, int]
    rows: list[tuple[str, StepFunction]]
    words: list[int]


@lru_cache(maxsize=128)
def _code(
    programs: tuple[tuple[str, Program], ...], arch: str, own: tuple[Callable[..., int], ...], outcomes_: int
) -> _Code:
    """Return the rows of these programs. ``own``: functions numbered after the library's; ``outcomes_``: of all."""
    own_numbers = {f: len(library()) + i for i, f in enumerate(own)}
    code = _Code({}, [], [])
    for name, program in programs:
        assembled = assemble(program, arch)
        code.begins[name] = first = len(code.rows)
        for step, jump in zip(assembled.steps, assembled.jump, strict=True):
            number = own_numbers[step] if step in own_numbers else library()[step]
            code.rows.append((name, step))
            kind = image.PRIVATE * info(step).private | image.WHOLE * bool(info(step).whole)
            kind |= image.USERS * is_users(step) | image.MAY_WAIT * info(step).waits
            taken = [0] * image.TAKEN_WORDS
            code.words.extend((number, kind, *taken, *(first + to if to >= 0 else to for to in jump)))
    return code


def build(design: Design, workload: Workload, memory_model: str = "sc", *, symmetry: bool = True) -> Model:
    """Make a design and a workload ready, under a memory model of `stress.memory_model`.

    ``symmetry``: whether identical CPUs are interchangeable (`stress.explore.model.symmetry`).

    Raises `UsageError` for an operation that the design has not, an unknown memory model, and a step that calls
    `shm_layout.atomic.fence` under one that it is not seen by; `SetupError` for a setup that comes to no end or breaks
    a check.
    """
    ordering = memory_model_of(memory_model)
    check_design(design)
    check_operations(design, workload)
    workload = workload.of_kind(design.machine)
    machine = workload.machine
    layout, memory, registers = _first_state(design, workload)
    entries = 0 if ordering.number == SC else min(ENTRIES, image.MOST_CHOICES // machine.cpus - 1)
    if entries:
        refuse_fences(design, workload)
    buffers = layout.words
    size = ENTRY_OF_BUFFER * entries
    memory += [0] * (-(-size * machine.cpus // LINE_WORDS) * LINE_WORDS)

    bound = design.bound.pages(machine.cpus, machine.tasks, machine.batch)
    exact = design.exact_read
    used = {op.name for cpu in workload.cpus for op in cpu}
    names = [n for n in design.programs if n in used]
    names += [n for n in dict.fromkeys((exact, design.bounded_read)) if n not in names and n in design.programs]
    own = tuple(own_functions(design))
    code = _code(tuple((n, design.programs[n]) for n in names), machine.arch, own, outcomes())

    ptes = memory[NR_ALL_PTES]
    p: list[Any] = [0] * (P_CPU + 2 * machine.cpus)
    p[image.P_STEPS], p[image.P_OWN_STEPS] = functions(design)
    p[image.P_SPLIT] = len(library())
    p[image.P_ROW] = image.CODE_JUMP + outcomes()
    p[image.P_CPUS] = machine.cpus
    p[image.P_WORDS] = len(memory)
    p[image.P_MEMORY] = ordering.number
    p[image.P_ENTRIES], p[image.P_BUFFERS] = entries, buffers
    p[image.P_CHOICES] = machine.cpus * (1 + {SC: 0, TSO: 1, PSO: entries}[ordering.number])
    p[image.P_READS] = int(any(design.judges(op.name) for cpu in workload.cpus for op in cpu))
    p[image.P_BOUND] = -1 if bound is None else bound
    raced = bound is None and design.bound.raced and not design.sums
    p[image.P_RACED] = int(raced)
    p[image.P_EXACT_PC] = code.begins.get(exact, END) if bound == 0 or design.sums or raced else END
    p[image.P_BOUNDED_PC] = code.begins.get(design.bounded_read, END) if bound != 0 or design.sums else END
    p[image.P_CHECKS] = len(design.checks)
    p[image.P_FIRST_CHECK] = len(library()) + len(own) - len(design.checks)
    p[image.P_CODE] = len(p)
    p += code.words
    p[image.P_OPS] = len(p)
    count = 0
    for cpu, operations in enumerate(workload.cpus):
        p[P_CPU + 2 * cpu : P_CPU + 2 * cpu + 2] = [count, len(operations)]
        count += len(operations)
        for op in operations:
            p += _operation_row(design, workload, op, code.begins[op.name])
    p += [0] * OP_ROW  # after the last operation of the last CPU
    rows = count + 1
    p[image.P_RECORD] = len(p)
    p += new_record(layout.words)
    p[p[image.P_RECORD] + NOTED] = int(entries != 0)
    p[image.P_VIEW] = len(p)
    p += [0] * entries
    p[image.P_SAVED] = len(p)
    p += [0] * STRIDE
    p[image.P_WATCHED] = int(is_watched(design))
    p[image.P_RECORDED] = int(entries != 0 or p[image.P_WATCHED] != 0)
    shadows = [layout.regions[name] for name in SHADOWS]
    p[image.P_SHADOWS] = len(p)
    p += [len(shadows), *(end for region in shadows for end in (region.start, region.end))]
    p[image.P_ACCESSES] = len(p)
    p += [0] * (image.MADE_WORDS * machine.cpus)
    p[image.P_CHANGES] = len(p)
    p[image.P_CHANGE_WORDS] = ptes // BITS + 1
    p += [0] * (2 * p[image.P_CHANGE_WORDS] * rows)
    p[image.P_PTES] = len(p)
    p += [0] * ptes
    p[image.P_ENDED] = len(p)
    ended = [field.constant for field in task_struct.fields if field.name != "mm"]
    p += [len(ended), *ended]
    p[image.P_OF_CPUS] = len(p)
    of_cpus = [words_of_cpus(layout, mm) for mm in range(machine.mms)]
    p += [len(of_cpus[0]) if of_cpus else 0, *(index for words in of_cpus for index in words)]
    p[image.P_HOLDERS] = len(p)
    p += [len(design.holders), *(int(checks.takes_registers(holder)) for holder in design.holders)]
    of_buffers = [range(buffers + cpu * size, buffers + (cpu + 1) * size) for cpu in range(machine.cpus)]
    if symmetry and (symmetric := interchangeable.section(design, workload, layout, memory, registers, of_buffers)):
        p[image.P_SYMMETRY] = len(p)
        p += symmetric
    return Model(design, workload, layout, p, memory, registers, code.rows, ordering)


def buffer_note(model: Model) -> str:
    """Say that a store buffer was full, in a sentence."""
    stores = plural(model.p[image.P_ENTRIES], "store")
    return f"a store buffer, of {stores}, was full: a CPU waited there, and what it does with a longer one was left out"


def _operation_row(design: Design, workload: Workload, op: Operation, begins: int) -> list[int]:
    number, end = design.numbers[op.name], last_page(workload, op)
    late = design.late_by.get(op.name, -1)
    read = SUMMED if op.name in design.exact_reads else int(design.judges(op.name))
    return [begins, number, op.address, end, int(op.write), op.arg, read, late]


def learn(model: Model, p: Words) -> None:
    """Take over from the image of a search which ptes the operations are known to change."""
    first = model.p[image.P_CHANGES]
    for word in range(first, model.p[image.P_PTES]):
        model.p[word] = int(p[word])
