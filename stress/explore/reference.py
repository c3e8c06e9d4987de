"""The plain explorer: no compilation, no reduction, no compression; the truth that the engine is held against.

Each step, private or not, is a scheduling point; states are tuples in a set. It shares nothing with the engine but
the steps, the boot and the meaning of a program, and is a thousand times slower.
"""

from __future__ import annotations

from dataclasses import dataclass

from shm_layout.registers import KEPT, R_ADDRESS, R_ARG, R_END, R_OOPS, R_OP, R_RESIDENT, R_SHARED, R_WRITE, REGISTERS
from shm_layout.structs import FIRST_WORD
from stress import checks
from stress.design import Design
from stress.explore.model.model import build, last_page
from stress.kernel import bug
from stress.kernel.proc import NOT_SHOWN
from stress.operation import READS
from stress.program import END, STAY, Assembled, assemble
from stress.workload import Workload

State = tuple[tuple[int, ...], ...]
"""The memory after the constants; for each CPU its registers, then operations done and the step that is next."""


@dataclass(frozen=True)
class Truth:
    """``finals``: as `stress.explore.result.Result.finals`. ``broken``: checks seen broken, but for those of reads."""

    finals: frozenset[State]
    broken: frozenset[str]
    states: int
    deadlock: bool
    endless: int
    """States from which no end can be reached: neither a final one, nor a deadlock, nor a broken check."""


class Reference:
    """The transition relation of a design and a workload, one step at a time."""

    def __init__(self, design: Design, workload: Workload) -> None:
        """Assemble the programs and boot the machine."""
        model = build(design, workload)
        self.constants = model.memory[:FIRST_WORD]
        self.columns = [
            [(assemble(design.programs[op.name], workload.machine.arch), op) for op in cpu] for cpu in workload.cpus
        ]
        self.numbers = design.numbers
        self.workload, self.frames = workload, workload.machine.frames
        every = [*checks.AT_REST.items(), *(("user", check) for check in design.checks)]
        self.checks = [(name, check, checks.takes_scratch(check)) for name, check in every if name != "page_refs"]
        self.holders = [(holder, checks.takes_registers(holder)) for holder in design.holders]
        stride = len(model.registers) // len(workload.cpus)
        files = [model.registers[i * stride : i * stride + REGISTERS] for i in range(len(workload.cpus))]
        self.first: State = (tuple(model.memory[FIRST_WORD:]), *((*r, 0, 0) for r in files))

    def _begin(self, cpu: int, r: list[int], done: int) -> Assembled:
        program, op = self.columns[cpu][done]
        if r[R_OP] == 0:
            r[R_OP], r[R_ADDRESS], r[R_WRITE], r[R_ARG] = (
                self.numbers[op.name],
                op.address,
                int(op.write),
                op.arg,
            )
            r[R_END] = last_page(self.workload, op)
            if op.name in READS:
                r[R_RESIDENT] = r[R_SHARED] = NOT_SHOWN
        return program

    def step(self, state: State, cpu: int) -> tuple[State, list[str]] | None:
        """Let a CPU take one step: the state after it and what it breaks, None when it has none or must wait."""
        *registers, done, pc = state[1 + cpu]
        if done == len(self.columns[cpu]):
            return None
        m, r = self.constants + list(state[0]), list(registers)
        program = self._begin(cpu, r, done)
        before, at = list(r), pc
        pc = program.jump[pc][program.steps[pc](m, r)]
        if pc == STAY and r == before:
            return None
        pc = at if pc == STAY else pc
        broken = checks.oops_names(r[R_OOPS])
        r[R_OOPS] &= ~bug.OWNER
        if pc == END:
            r[KEPT:] = [0] * (REGISTERS - KEPT)
            done, pc = done + 1, 0
        changed = (*r, done, pc)
        return (tuple(m[FIRST_WORD:]), *state[1 : 1 + cpu], changed, *state[2 + cpu :]), broken

    def at_rest(self, state: State) -> list[str]:
        """Return the checks of the memory that break in a state at rest; none when it is not at rest."""
        if any(r[R_OP] != 0 for r in state[1:]):
            return []
        m = self.constants + list(state[0])
        w = [0] * self.frames
        broken = [name for name, check, both in self.checks if (check(m, w) if both else check(m)) != checks.HOLDS]
        checks.known_refs(m, w)
        for holder, by_cpu in self.holders:
            for r in state[1:] if by_cpu else [()]:
                holder(*((m, list(r), w) if by_cpu else (m, w)))
        return broken if checks.wrong_refs(m, w) == checks.HOLDS else [*broken, "page_refs"]

    def final(self, state: State) -> bool:
        """Return whether every CPU has performed all its operations."""
        return all(r[-2] == len(column) for r, column in zip(state[1:], self.columns, strict=True))


def reference(design: Design, workload: Workload, most_states: int = 1_000_000) -> Truth:
    """Explore without any reduction. Raises `RuntimeError` beyond ``most_states``."""
    relation = Reference(design, workload)
    seen = {relation.first}
    queue = [relation.first]
    finals: set[State] = set()
    broken: set[str] = set()
    deadlock = False
    before: dict[State, list[State]] = {relation.first: []}
    ends: list[State] = []
    while queue:
        state = queue.pop()
        broken.update(relation.at_rest(state))
        if relation.final(state):
            finals.add((state[0], *(r[:KEPT] for r in state[1:])))
            ends.append(state)
            continue
        moves = [move for cpu in range(len(relation.columns)) if (move := relation.step(state, cpu))]
        deadlock = deadlock or not moves
        if not moves or any(set(breaks) - {"owner"} for _, breaks in moves):
            ends.append(state)
        for after, breaks in moves:
            broken.update(breaks)
            if set(breaks) - {"owner"}:
                continue
            before.setdefault(after, []).append(state)
            if after not in seen:
                seen.add(after)
                queue.append(after)
                if len(seen) > most_states:
                    raise RuntimeError(f"more than {most_states} states: give the reference something smaller")
    endless = len(seen - _lead_to(ends, before))
    stuck = {"progress"} if deadlock or endless else set()
    return Truth(frozenset(finals), frozenset(broken | stuck), len(seen), deadlock, endless)


def _lead_to(ends: list[State], before: dict[State, list[State]]) -> set[State]:
    """Return the states from which one of ``ends`` can be reached. ``before``: the predecessors of each state."""
    found = set(ends)
    queue = list(found)
    while queue:
        for state in before[queue.pop()]:
            if state not in found:
                found.add(state)
                queue.append(state)
    return found
