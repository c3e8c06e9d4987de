"""A workload: which CPU performs which operations on which pages of a small machine.

Its text form has a column per CPU, separated by ``|``, and in front of ``||`` the *setup*: operations that are
performed one after the other before the CPUs start, by CPU 0 unless a number is put before them::

    fault 0 w; 1: fork || fault 0 w; zap 0-1 | swap_out frame=1 | statm mm=0

An operation is its name and what it is given: a virtual page ``0`` or a range ``0-3`` (both ends included), ``w``
for a write access, ``mm=N`` for the address space that it acts on, ``frame=N`` for where it starts to look.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from shm_layout.errors import UsageError
from shm_layout.machine import Machine
from stress.machine_kind import MachineKind
from stress.operation import FRAME, KINDS, MM, MOST_DIGITS
from stress.operation import Operation as Operation  # noqa: PLC0414
from stress.operation import parse_operation as parse_operation  # noqa: PLC0414
from stress.report.words import plural

_NUMBERS = tuple(f.name for f in fields(Machine) if f.type != "str")
MOST = 4096
"""Of pages, frames and whatever a machine to explore has: it is small, and larger ones are mistyped."""
MOST_CPUS = 127
"""Of a machine to explore: seven bits name the one that moves."""


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


@dataclass(frozen=True)
class Workload:
    """A machine and what its CPUs do.

    ``cpus``: for each CPU its operations. ``setup``: (CPU, operation), performed in this order beforehand.
    """

    machine: Machine
    cpus: tuple[tuple[Operation, ...], ...]
    setup: tuple[tuple[int, Operation], ...] = ()

    def __post_init__(self) -> None:
        """Check every operation against the machine. Raises `UsageError`."""
        if not self.cpus or len(self.cpus) != self.machine.cpus:
            raise UsageError(f"a workload for {len(self.cpus)} CPUs on a machine of {self.machine.cpus}")
        for cpu, _ in self.setup:
            if not 0 <= cpu < len(self.cpus):
                raise UsageError(f"setup names CPU {cpu}: the workload has {plural(len(self.cpus), 'CPU')}")
        for operation in self.operations():
            self._check(operation)

    def _check(self, operation: Operation) -> None:
        pages, mms = self.machine.ptes, self.machine.mms
        kind = operation.kind
        if mms == 0:
            self._check_numbers(operation)
            return
        if not 0 <= operation.address < pages or operation.end > pages:
            raise UsageError(f"{str(operation)!r} names a page that is not there: an mm has {plural(pages, 'page')}")
        if MM in kind.takes and FRAME not in kind.takes and operation.arg > mms:
            raise UsageError(f"{str(operation)!r} names an mm that is not there: there are {mms}")
        if FRAME in kind.takes and MM not in kind.takes and operation.arg >= self.machine.frames:
            raise UsageError(f"{str(operation)!r} names a frame that is not there: there are {self.machine.frames}")
        if kind.of_file and operation.address < self.machine.anon:
            raise UsageError(f"{str(operation)!r}: that page is anonymous, {kind.name} takes one of the file's")

    @staticmethod
    def _check_numbers(operation: Operation) -> None:
        """Check what an operation is given on a machine of words: numbers, of which its steps know the meaning."""
        if operation.name not in KINDS and operation != Operation(operation.name):
            needs = "to give it a number, declare it with a Kind that takes PAGE (stress.operation)"
            raise UsageError(f"{str(operation)!r}: {operation.name} takes nothing; {needs}")
        if max(operation.end, operation.arg) > MOST:
            raise UsageError(f"{str(operation)!r}: a number is at most {MOST - 1:,}")

    def operations(self) -> Iterable[Operation]:
        """Return all operations, those of the setup first."""
        yield from (operation for _, operation in self.setup)
        for cpu in self.cpus:
            yield from cpu

    def __str__(self) -> str:
        """Return the text form without the machine, which `parse` reads."""
        columns = " | ".join("; ".join(map(str, cpu)) for cpu in self.cpus)
        if not self.setup:
            return columns
        return "; ".join(f"{cpu}: {op}" if cpu else str(op) for cpu, op in self.setup) + " || " + columns

    @classmethod
    def parse(cls, text: str, /, **machine: Any) -> Self:
        """Read the text form. Keywords are fields of `Machine`; those not given (or None) are made just large enough.

        Raises `UsageError` for what cannot be read, and for a machine that is too small for it.
        """
        setup_text, separator, columns_text = text.rpartition("||")
        setup = []
        if "|" in setup_text:
            raise UsageError("what stands before '||' has no columns: write '1: fault 0 w' for what CPU 1 does there")
        for part in _list(setup_text) if separator else ():
            cpu, _, operation = part.partition(":") if re.match(r"\d+\s*:", part) else ("0", "", part)
            if len(cpu) > MOST_DIGITS:
                raise UsageError(f"setup names a CPU by {len(cpu):,} digits: a machine has at most {MOST_CPUS}")
            if not operation.strip():
                raise UsageError(f"setup names CPU {cpu.strip()} and nothing for it to do: write '0: fault 0'")
            setup.append((int(cpu), parse_operation(operation)))
        cpus = tuple(tuple(parse_operation(p) for p in _list(column)) for column in columns_text.split("|"))
        if not any(cpus):
            raise UsageError("the workload is empty: give operations, as in 'fault 0 w | zap 0'")
        return cls.of(cpus, setup, **machine)

    @classmethod
    def of(
        cls,
        cpus: Iterable[Iterable[Operation]],
        setup: Iterable[tuple[int, Operation]] = (),
        /,
        **machine: Any,
    ) -> Self:
        """Return a workload of these operations, on a machine with these fields; see `parse`."""
        columns, before = tuple(map(tuple, cpus)), tuple(setup)
        return cls(_machine(columns, before, machine), columns, before)

    def on(self, **machine: Any) -> Self:
        """Return the same workload on a machine that differs in these fields, such as ``arch``. Raises `UsageError`."""
        try:
            return replace(self, machine=replace(self.machine, **machine))
        except ValueError as error:
            raise UsageError(f"{error}") from None

    def of_kind(self, kind: MachineKind) -> Self:
        """Return the same workload on a machine of this kind."""
        machine = kind.of(self.machine)
        return self if machine == self.machine else replace(self, machine=machine)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object that `from_json` reads."""
        return {"machine": asdict(self.machine), "operations": str(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote. Raises `UsageError`."""
        machine, operations = (data.get(k) if isinstance(data, Mapping) else None for k in ("machine", "operations"))
        if not isinstance(machine, dict) or not isinstance(operations, str):
            raise UsageError("a workload in JSON is an object with `machine` and `operations`")
        return cls.parse(operations, **machine)


def _machine(
    cpus: tuple[tuple[Operation, ...], ...],
    setup: tuple[tuple[int, Operation], ...],
    given: Mapping[str, Any],
) -> Machine:
    """Return the smallest machine that the operations fit on, with these fields as given."""
    unknown = given.keys() - {f.name for f in fields(Machine)}
    if unknown:
        raise UsageError(f"a machine has no {', '.join(sorted(unknown))}")
    values: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
    for name in _NUMBERS:
        if not isinstance(values.get(name, 0), int):
            raise UsageError(f"{name} of a machine is a whole number, or true or false, not {values[name]!r}")
    values.setdefault("ghost", True)
    values.setdefault("cpus", len(cpus))
    operations = [op for _, op in setup] + [op for cpu in cpus for op in cpu]
    pages = max((max(op.end, op.address + 1) for op in operations), default=1)
    files = values.setdefault("private_file", 0) + values.setdefault("shared_file", 0)
    values.setdefault("anon", max(pages - files, 0 if files else 1))
    pages = values["anon"] + files
    arg_mm = max((op.arg for op in operations if op.name in KINDS and MM in op.kind.takes), default=0)
    values.setdefault("mms", max(1 + sum(op.kind.starts_mm for op in operations), arg_mm))
    # Every pte can have a page of its own, and every CPU one in its hands.
    values.setdefault("frames", 1 + values["mms"] * pages + values["cpus"])
    values.setdefault("swap", min(sum(op.kind.swaps for op in operations), values["frames"]))
    values.setdefault("mmu", any(op.kind.by_tlb for op in operations))
    if "task_depth" not in values:
        stacks = [list(column) for column in cpus]
        for cpu, op in setup:
            if cpu < len(stacks):
                stacks[cpu].append(op)
        values["task_depth"] = 1 + max(sum(op.kind.starts_task for op in stack) for stack in stacks)
    for name in _NUMBERS:
        if values.get(name, 0) > MOST:
            raise UsageError(f"a machine to explore is small: {name} is {values[name]:,}, at most {MOST:,}")
    if values["cpus"] > MOST_CPUS:
        raise UsageError(f"a machine to explore has at most {MOST_CPUS} CPUs, not {values['cpus']:,}")
    if values.get("child_pages", pages) != pages:
        raise UsageError("child_pages is for workers: in a machine to explore every mm has all pages")
    try:
        return Machine(**values)
    except (ValueError, TypeError) as error:
        raise UsageError(f"the machine of this workload: {error}") from None
