"""Operations of several CPUs in random order, step by step in plain Python: a sound design stays sound."""

import random

import pytest

from shm_layout.machine import Machine
from shm_layout.registers import KEPT, R_ADDRESS, R_ARG, R_END, R_OOPS, R_OP, R_WRITE, REGISTERS
from stress import designs
from stress.checks import AT_REST, HOLDS, oops_names, true_anon_rss, true_rss
from stress.designs.parts.operations import FAULT_END
from stress.kernel import page_alloc, pte_access, rmap, spinlock, vmscan
from stress.kernel.mm_types import MM_FREE
from stress.labels import COPY, DO_SWAP_PAGE, OUT
from stress.program import END, At, Goto, assemble
from stress.sequential import PlainMachine
from stress.step import WAIT

CPUS = 3
EACH = 4
"""Operations of a CPU between two rests."""
RESTS = 10
KINDS = (
    *("fault",) * 6,
    *("swap_out",) * 4,
    *("zap", "fork", "truncate", "clone", "exit", "exec", "access_process_vm", "use_mm", "statm"),
)
MOST_STEPS = 20_000


class Interleaved(PlainMachine):
    """A machine whose CPUs take turns at random, so that equal seeds are equal runs."""

    def __init__(self, design, arch, seed):
        machine = Machine(
            cpus=CPUS,
            mms=3,
            anon=2,
            private_file=1,
            shared_file=1,
            frames=9,
            swap=3,
            arch=arch,
            mmu=True,
            ghost=True,
        )
        super().__init__(design, machine)
        self.machine = machine
        self.random = random.Random(seed)
        self.assembled = {kind: assemble(design.programs[kind], arch) for kind in KINDS}

    def begin(self, cpu):
        """Give a CPU an operation; returns its program."""
        machine, number = self.machine, self.random.randrange
        kind = self.random.choice(KINDS)
        r = self.registers[cpu]
        r[R_OP], r[R_ADDRESS], r[R_WRITE] = 1, number(machine.ptes), number(2)
        r[R_END] = number(r[R_ADDRESS], machine.ptes) + 1
        r[R_ARG] = number(machine.frames) if kind == "swap_out" else number(machine.mms + 1)
        if kind == "fork":
            r[R_ADDRESS], r[R_END] = 0, machine.ptes
        elif kind == "truncate":
            r[R_ADDRESS] = number(machine.anon, machine.ptes)
        return self.assembled[kind]

    def run_to_rest(self):
        """Let every CPU perform some operations; returns what a step saw broken, or that nobody can go on."""
        left, programs, places = [EACH] * CPUS, [None] * CPUS, [0] * CPUS
        cpu = 0
        for _ in range(MOST_STEPS):
            busy = [c for c in range(CPUS) if programs[c] or left[c]]
            if not busy:
                return ""
            if cpu not in busy or self.random.random() < 0.3:
                cpu = self.random.choice(busy)
            if programs[cpu] is None:
                left[cpu] -= 1
                programs[cpu], places[cpu] = self.begin(cpu), 0
            r = self.registers[cpu]
            function = programs[cpu].steps[places[cpu]]
            outcome = function(self.m, r)
            if r[R_OOPS]:
                return f"{oops_names(r[R_OOPS])} in {function.__name__}"
            if outcome == WAIT:
                cpu = self.random.choice(busy)
                continue
            places[cpu] = programs[cpu].jump[places[cpu]][outcome]
            if places[cpu] == END:
                programs[cpu] = None
                r[KEPT:] = [0] * (REGISTERS - KEPT)
        return "no progress"

    def broken_at_rest(self):
        """The check at rest that does not hold, or nothing."""
        scratch = [0] * self.machine.frames
        for name, check in AT_REST.items():
            more = (scratch,) if name in ("mapcount", "page_refs") else ()
            if check(self.m, *more) != HOLDS:
                return name
        mms = self.layout.regions["mm_struct"]
        for mm in range(self.machine.mms):
            rss, anon_rss = true_rss(self.m, mm), true_anon_rss(self.m, mm)
            used = self.m[mms.index(mm, "mm_users")] != MM_FREE
            if used and self.perform("statm", arg=mm + 1) != (rss, rss - anon_rss):
                return "rss_exact"
        return ""


def first_broken(design, arch, seeds):
    """What breaks first in runs from these seeds."""
    for seed in seeds:
        machine = Interleaved(design, arch, seed)
        for _ in range(RESTS):
            found = machine.run_to_rest() or machine.broken_at_rest()
            if found:
                return f"seed {seed}: {found}"
    return ""


@pytest.mark.parametrize("arch", ["64", "pae"])
@pytest.mark.parametrize("name", ["page_table_lock", "v12_sound", "atomic", "ptlock_split"])
def test_a_sound_design_stays_sound(name, arch):
    assert not first_broken(designs.get(name), arch, range(40))


BROKEN = {
    "a zap of the file's page without its lock": {
        "truncate": lambda p: p.drop(spinlock.spin_lock).drop(spinlock.spin_unlock)
    },
    "no recheck that the swap entry is the same": {
        "fault": lambda p: p.drop(pte_access.PTE_SAME, within=DO_SWAP_PAGE)
    },
    "no recheck that the page is still there to be copied": {
        "fault": lambda p: p.drop(pte_access.PTE_SAME, within=COPY)
    },
    "the dirty bit is lost": {"swap_out": lambda p: p.drop(vmscan.move_dirty)},
    "a page that became anonymous is unmapped like one of the file": {
        "swap_out": lambda p: p.drop(vmscan.mk_swap_pte)
    },
    "truncate drops a reference twice": {
        "truncate": lambda p: p.after(page_alloc.page_cache_release, page_alloc.page_cache_release)
    },
    "a fault leaves the rmap out": {"fault": lambda p: p.drop(rmap.page_add_file_rmap)},
    "a fault keeps page_table_lock": {
        "fault": lambda p: p.splice(FAULT_END[:3], FAULT_END[0], Goto(OUT), At(OUT))
    },
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_design_is_seen(fault):
    design = designs.get("page_table_lock").edit(name="broken", **BROKEN[fault])
    assert first_broken(design, "64", range(100))


@pytest.mark.parametrize("arch", ["64", "pae"])
def test_v12_as_posted_is_seen(arch):
    assert first_broken(designs.get("v12"), arch, range(10))
