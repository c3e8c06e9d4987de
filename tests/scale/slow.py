"""A second simulator: plain Python, sets and dictionaries, every waiter's look an event of its own.

It takes the steps as they are on a list that notes what is read and written, and knows nothing of the compiled one.
"""

import heapq
from collections import Counter, defaultdict

from shm_layout.layout import Layout
from shm_layout.placement import PLACEMENTS
from shm_layout.registers import KEPT, R_ADDRESS, R_OP, R_WRITE, REGISTERS
from shm_layout.structs import FIRST_WORD, LINE_WORDS
from stress.kernel.boot import boot, boot_registers
from stress.kernel.fault_kinds import KINDS, machine_for, parts
from stress.kernel.page_alloc import alloc_copy, alloc_zeroed_page
from stress.program import END, assemble
from stress.step import WAIT


class Noted(list):
    """Memory that notes accesses to what a run may change: (word, "r" or "w")."""

    notes = ()

    def __getitem__(self, i):
        if i >= FIRST_WORD:
            self.notes.append((i, "r"))
        return list.__getitem__(self, i)

    def __setitem__(self, i, value):
        if i >= FIRST_WORD:
            self.notes.append((i, "w"))
        list.__setitem__(self, i, value)


def by_line(notes):
    """Lines in the order of their first access, each with whether it is written, and whether atomically."""
    lines = dict.fromkeys(word // LINE_WORDS for word, _ in notes)
    for line in lines:
        own = [(word, kind) for word, kind in notes if word // LINE_WORDS == line]
        atomic = any(own[i] == (own[i + 1][0], "r") and own[i + 1][1] == "w" for i in range(len(own) - 1))
        yield line, any(kind == "w" for _, kind in own), atomic


class Slow:
    """Faults of one kind on a machine without variation; counts and times in ns."""

    def __init__(self, design, machine, cpus, each, kind="anon-write", placement="posted", work=True):  # noqa: PLR0917
        self.machine, self.work = machine, work
        kinds = KINDS[kind]
        self.layout = Layout(machine_for(kinds, workers=cpus, pages=cpus * each, arch="64"), PLACEMENTS[placement])
        self.m = Noted([0] * self.layout.words)
        self.m.notes = []
        boot(self.layout, self.m)
        self.program = assemble(design.programs["fault"], "64")
        self.registers = [[0] * REGISTERS for _ in range(cpus)]
        self.todo = []
        for cpu, r in enumerate(self.registers):
            boot_registers(self.layout, r, cpu, cpus)
            own = parts(kinds, cpus * each, cpu, cpus)
            assert [kind.name for kind, *_ in own] in (["anon-write"], ["anon-read"])  # nothing is prepared here
            self.todo.append([(page, k.write) for k, first, end in own for page in range(first, end)])
        self.holders, self.alone, self.free = defaultdict(set), {}, defaultdict(float)
        self.waiting, self.since, self.ready = defaultdict(list), {}, {}
        self.pc = [None] * cpus
        self.count, self.ns = Counter(), Counter()
        self.events, self.order = [], 0
        self.end = 0.0
        for cpu in range(cpus):
            self.at(0.0, cpu)

    def at(self, time, cpu):
        heapq.heappush(self.events, (time, self.order, cpu))
        self.order += 1

    def distance(self, a, b):
        return next(level.ns for level in self.machine.levels if a // level.cpus == b // level.cpus)

    def access(self, cpu, line, write, atomic, now):
        holders, costs = self.holders[line], self.machine.line
        if cpu in holders and (not write or (self.alone[line] and holders == {cpu})):
            cost = costs.own_atomic_ns if atomic else costs.own_ns
            self.ns["own"] += cost
            return now + cost
        begin = max(now, self.free[line])
        self.ns["queue"] += begin - now
        self.count["transfers"] += 1
        if not holders:
            cost = busy = costs.memory_ns
            self.alone[line] = True
        elif write:
            cost = busy = max(self.distance(cpu, min(holders)), self.distance(cpu, max(holders)))
            self.alone[line] = True
            holders.clear()
        else:
            cost = busy = self.distance(cpu, min(holders))
            if not self.alone[line]:
                busy = min(cost, costs.read_busy_ns)
            self.alone[line] = False
        holders.add(cpu)
        self.ns["line"] += cost
        self.free[line] = begin + busy
        return begin + cost

    def begin(self, cpu, now):
        if not self.todo[cpu]:
            return
        page, write = self.todo[cpu].pop(0)
        r = self.registers[cpu]
        r[KEPT:] = [0] * (REGISTERS - KEPT)
        r[R_OP], r[R_ADDRESS], r[R_WRITE] = 1, page, int(write)
        self.pc[cpu] = 0
        entry = self.machine.fault.entry_ns * self.work
        self.ns["work"] += entry
        self.at(now + entry, cpu)

    def run(self):
        fault, gb_s = self.machine.fault, self.machine.memory.near_gb_s
        while self.events:
            now, _, cpu = heapq.heappop(self.events)
            pc = self.pc[cpu]
            if pc is None:
                self.begin(cpu, now)
                continue
            looked, step = now, self.program.steps[pc]
            self.m.notes = notes = []
            outcome = step(self.m, self.registers[cpu])
            self.m.notes = []
            for line, write, atomic in by_line(notes):
                self.count["atomics"] += atomic
                now = self.access(cpu, line, write, atomic, now)
                if write:
                    for other in self.waiting.pop(line, ()):
                        self.at(max(now, self.ready[other]), other)
            if outcome == WAIT:
                self.count["waits"] += 1
                self.since.setdefault(cpu, looked)
                self.ready[cpu] = now
                self.waiting[notes[-1][0] // LINE_WORDS].append(cpu)
                continue
            if cpu in self.since:
                self.ns["spin"] += now - self.since.pop(cpu)
            if step in (alloc_zeroed_page, alloc_copy) and self.work:
                work = fault.page_bytes / gb_s * (1 if step is alloc_zeroed_page else 2)
                self.ns["work"] += work
                now += work
            to = self.program.jump[pc][outcome]
            if to != END:
                self.pc[cpu] = to
                self.at(now, cpu)
                continue
            leave = fault.exit_ns * self.work
            self.ns["work"] += leave
            self.end = max(self.end, now + leave)
            self.count["faults"] += 1
            self.pc[cpu] = None
            self.begin(cpu, now + leave)
        return self
