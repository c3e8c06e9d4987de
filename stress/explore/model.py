"""A design and a workload made ready: the first state, and the image of programs and operations.

Everything here is plain Python (lists of ints), so that `replay` needs neither numba nor numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from shm_layout.layout import Layout
from shm_layout.machine import Machine
from shm_layout.placement import PACKED
from shm_layout.registers import KEPT, R_ADDRESS, R_ARG, R_END, R_OOPS, R_OP, R_WRITE, REGISTERS
from shm_layout.structs import STRUCTS
from stress import checks
from stress.boot import boot, boot_registers
from stress.design import READS, Design
from stress.errors import UsageError
from stress.explore import image, symmetry
from stress.explore.image import OP_ROW, P_CPU, STRIDE
from stress.explore.library import functions, library, own_functions
from stress.nearest import did_you_mean
from stress.never_ends import NeverEnds, bounded
from stress.program import END, STAY, Assembled, Program, assemble
from stress.step import StepFunction, info, outcomes
from stress.workload import Operation, Workload

SETUP_STEPS = 100_000
"""Steps of one operation of the setup, at most."""

_COVERS = {
    "fault": image.COVERS_PAGE,
    "access_process_vm": image.COVERS_PAGE,
    "use_mm": image.COVERS_PAGE,
    "zap": image.COVERS_RANGE,
    "exit": image.COVERS_RANGE,
    "exec": image.COVERS_RANGE,
    "fork": image.COVERS_CHILD,
    "swap_out": image.COVERS_PAGE_OF_ALL,
    "truncate": image.COVERS_PAGE_OF_ALL,
    "clone": image.COVERS_NOTHING,
    "tick": image.COVERS_NOTHING,
    **dict.fromkeys((*READS, "precise"), image.COVERS_RANGE),
}


class SetupError(UsageError):
    """An operation of the setup that waits for ever, never ends, or breaks a check, when it is performed alone."""


@dataclass(frozen=True)
class Model:
    """A design and a workload, ready to be explored.

    ``p``: the image (`stress.explore.image`), with the steps as Python functions. ``memory``: the first state, the
    constants included. ``registers``: of all CPUs, `STRIDE` words each. ``rows``: for each row of the programs the
    operation and its step.
    """

    design: Design
    workload: Workload
    layout: Layout
    p: list[Any]
    memory: list[int]
    registers: list[int]
    rows: list[tuple[str, StepFunction]]


def check_operations(design: Design, workload: Workload) -> None:
    """Raise `UsageError` when the workload has an operation that the design has not."""
    for operation in workload.operations():
        if operation.name not in design.programs:
            hint = did_you_mean(operation.name, design.programs)
            raise UsageError(f"design {design.name} has no operation {operation.name!r}{hint}")


def last_page(workload: Workload, operation: Operation) -> int:
    """R_END of an operation: a fork that names no pages copies all of them, any other operation is given none."""
    return operation.end or (workload.machine.ptes if operation.name == "fork" else 0)


def _set_arguments(design: Design, workload: Workload, r: list[int], operation: Operation) -> None:
    r[R_OP] = design.numbers[operation.name]
    r[R_ADDRESS] = operation.address
    r[R_END] = last_page(workload, operation)
    r[R_WRITE] = int(operation.write)
    r[R_ARG] = operation.arg


def _perform(program: Assembled, m: list[int], r: list[int], what: str) -> None:
    pc = 0
    for _ in range(SETUP_STEPS):
        if pc == END:
            break
        to = program.jump[pc][program.steps[pc](m, r)]
        if to == STAY:
            raise SetupError(f"operation {what!r} of the setup waits for ever in {info(program.steps[pc]).name}")
        pc = to
    else:
        raise SetupError(f"operation {what!r} of the setup does not end")
    if broken := checks.oops_names(r[R_OOPS]):
        # R_OOPS is kept: the first step of the CPU behind the setup would be blamed.
        raise SetupError(f"operation {what!r} of the setup breaks {broken[0]}: let a CPU perform it, behind '||'")
    for i in range(KEPT, len(r)):
        r[i] = 0


@lru_cache(maxsize=64)
def _booted(machine: Machine, declared: tuple[int, ...]) -> tuple[Layout, tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """The layout of a machine, and its memory and the registers of its CPUs before the setup.

    ``declared``: the number of fields of each structure, since a user's file may declare more of them.
    """
    layout = Layout(machine, PACKED)
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
    memory, files = list(booted), [list(r) for r in booted_files]
    for cpu, operation in workload.setup:
        _set_arguments(design, workload, files[cpu], operation)
        program = assemble(design.programs[operation.name], workload.machine.arch)
        try:
            with bounded(design.own_steps):
                _perform(program, memory, files[cpu], str(operation))
        except NeverEnds as endless:
            raise SetupError(f"operation '{operation}' of the setup does not end: step {endless.name}") from None
    return layout, memory, [word for r in files for word in (*r, *[0] * (STRIDE - REGISTERS))]


@dataclass(frozen=True)
class _Code:
    """Programs put one behind another: ``begins`` the row of each, ``rows`` and ``words`` of all of them."""

    begins: dict[str, int]
    rows: list[tuple[str, StepFunction]]
    words: list[int]


@lru_cache(maxsize=128)
def _code(
    programs: tuple[tuple[str, Program], ...], arch: str, own: tuple[Callable[..., int], ...], outcomes_: int
) -> _Code:
    """The rows of these programs. ``own``: functions whose numbers come behind the library's; ``outcomes_``: of all."""
    own_numbers = {f: len(library()) + i for i, f in enumerate(own)}
    code = _Code({}, [], [])
    for name, program in programs:
        assembled = assemble(program, arch)
        code.begins[name] = first = len(code.rows)
        for step, jump in zip(assembled.steps, assembled.jump, strict=True):
            number = own_numbers[step] if step in own_numbers else library()[step]
            code.rows.append((name, step))
            code.words.extend((number, int(info(step).private), *(first + to if to >= 0 else to for to in jump)))
    return code


def build(design: Design, workload: Workload) -> Model:
    """Make a design and a workload ready.

    Raises `UsageError` for an operation that the design has not, `SetupError` for a setup that comes to no end or
    breaks a check.
    """
    check_operations(design, workload)
    machine = workload.machine
    layout, memory, registers = _first_state(design, workload)

    bound = design.bound.pages(machine.cpus, machine.tasks, machine.batch)
    exact = "precise" if "precise" in design.programs else "statm"
    used = {op.name for cpu in workload.cpus for op in cpu}
    names = [n for n in design.programs if n in used]
    names += [n for n in dict.fromkeys((exact, "statm")) if n not in names and n in design.programs]
    own = tuple(own_functions(design))
    code = _code(tuple((n, design.programs[n]) for n in names), machine.arch, own, outcomes())

    p: list[Any] = [0] * (P_CPU + 2 * machine.cpus)
    p[image.P_STEPS], p[image.P_OWN_STEPS] = functions(design)
    p[image.P_SPLIT] = len(library())
    p[image.P_ROW] = 2 + outcomes()
    p[image.P_CPUS] = machine.cpus
    p[image.P_WORDS] = layout.words
    p[image.P_READS] = int(any(op.name in READS for cpu in workload.cpus for op in cpu))
    p[image.P_BOUND] = -1 if bound is None else bound
    p[image.P_EXACT_PC] = code.begins.get(exact, END) if bound == 0 or exact == "precise" else END
    p[image.P_BOUNDED_PC] = code.begins.get("statm", END) if bound else END
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
    p += [0] * OP_ROW  # behind the last operation of the last CPU
    if symmetric := symmetry.section(design, workload, layout, memory, registers):
        p[image.P_SYMMETRY] = len(p)
        p += symmetric
    return Model(design, workload, layout, p, memory, registers, code.rows)


def _operation_row(design: Design, workload: Workload, op: Operation, begins: int) -> list[int]:
    covers = _COVERS.get(op.name, image.COVERS_ANY)
    number, end = design.numbers[op.name], last_page(workload, op)
    return [begins, number, op.address, end, int(op.write), op.arg, int(op.name in READS), covers]
