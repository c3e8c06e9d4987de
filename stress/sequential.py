"""Operations performed one after the other by the steps as they are, in plain Python: slow, and easy to trust."""

from __future__ import annotations

from shm_layout.layout import Layout
from shm_layout.machine import Machine
from shm_layout.registers import (
    KEPT,
    R_ADDRESS,
    R_ARG,
    R_END,
    R_OOPS,
    R_OP,
    R_RESIDENT,
    R_SHARED,
    R_WRITE,
    REGISTERS,
)
from stress.design import Design
from stress.kernel.boot import boot, boot_registers
from stress.program import END, STAY, Assembled, assemble
from stress.step import StepFunction
from stress.system.never_ends import bounded


class PlainMachine:
    """A machine that runs a design, one operation at a time.

    ``m``: its memory, a list of words; ``registers``: a list for each CPU. ``layout`` says what lies where.
    """

    def __init__(self, design: Design, machine: Machine) -> None:
        """Boot it: of the kind that the design is for, see `stress.machine_kind`."""
        machine = design.machine.of_real_size(machine)
        self.design = design
        self.layout = Layout(machine)
        self.m = [0] * self.layout.words
        boot(self.layout, self.m)
        self.registers = [[0] * REGISTERS for _ in range(machine.cpus)]
        for cpu, r in enumerate(self.registers):
            boot_registers(self.layout, r, cpu)
        self._programs: dict[str, Assembled] = {}

    def perform(
        self, name: str, cpu: int = 0, *, address: int = 0, end: int = 0, write: bool = False, arg: int = 0
    ) -> tuple[int, int]:
        """Perform one operation from its first step to its last; returns registers R_RESIDENT and R_SHARED.

        Raises `RuntimeError` when it would wait, since nobody else is there to let it go on, or a step returns what its
        program has no place for; `NeverEnds` for a step that does not end.
        """
        if name not in self._programs:
            arch = self.layout.machine.arch
            self._programs[name] = assemble(self.design.programs[name], arch)
        program = self._programs[name]
        r = self.registers[cpu]
        r[R_OP], r[R_ADDRESS], r[R_END], r[R_WRITE], r[R_ARG] = 1, address, end, int(write), arg
        pc = 0
        with bounded(self.design.own_steps):
            while pc != END:
                outcome = self.take(program.steps[pc], r)
                after = program.jump[pc][outcome]
                if after < END:
                    what = "waits" if after == STAY else "cannot go on"
                    raise RuntimeError(f"{name} {what} at {program.steps[pc].__name__}")
                pc = after
        shown = r[R_RESIDENT], r[R_SHARED]
        r[KEPT:] = [0] * (REGISTERS - KEPT)
        return shown

    def take(self, step: StepFunction, r: list[int]) -> int:
        """Take a step; returns its outcome."""
        return step(self.m, r)

    def oops(self) -> int:
        """Bits of `stress.kernel.bug` that any CPU has seen."""
        bits = 0
        for r in self.registers:
            bits |= r[R_OOPS]
        return bits
