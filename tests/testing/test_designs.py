"""All designs under `stress.testing`: sound ones hold, broken ones and mutants are caught.

An item for each design and arch: compiling is what the time goes to, and no two items compile the same.
"""

import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, settings

from stress import designs
from stress.design import EXACT
from stress.kernel import page_alloc, spinlock, tlb
from stress.testing import CheckBroken, state_machine

pytestmark = pytest.mark.timeout(600)  # compiling takes its time on a busy machine

BRIEF = settings(
    max_examples=40,
    stateful_step_count=10,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),
)
OPERATIONS = ("fault", "zap", "madvise_dontneed", "fork", "clone", "exit", "statm", "tick", "user_write")
OF_LATER_KERNELS = ("change_prot_numa", "collapse_file", "migrate_pages", "mprotect", "mremap")
"""What most designs are tested with: they compile in half the time."""

SOUND = {
    "atomic": "64",
    "cached": "pae",
    "deferred": "64",
    "deferred_16": "pae",
    "lazy": "64",
    "linux_6_16": "64",
    "migration": "64",
    "mremap": "pae",
    "percpu": "64",
    "ptlock_split": "pae",
    "thp": "64",
    "tree": "64",
    "page_table_lock": "64",
    "vma_lock": "pae",
    "vma_refcnt": "64",
}
THOROUGH = {"v12_sound": "pae"}
"""With all operations and three workers."""
PARTS = ("linux_6_8", "tlb_batch")
"""Designs whose steps are all among those of `vma_lock`, which is made from them."""
ALIASES = ("list",)
"""Designs that are another one, under its name in the table of counters."""


def run(design, arch="64", operations=OPERATIONS + OF_LATER_KERNELS, **fields):
    chosen = None if operations is None else [name for name in operations if name in design.programs]
    state_machine(design, arch=arch, operations=chosen, settings=BRIEF, **fields)().runTest()


def caught(design, arch="64", operations=OPERATIONS, **fields):
    """The names of the checks that are seen broken."""
    with pytest.raises(CheckBroken) as found:
        run(design, arch, operations, **fields)
    return set(found.value.broken)


def test_every_design_is_here():
    assert sorted({*SOUND, *THOROUGH, *PARTS, *ALIASES, *designs.BROKEN}) == designs.names()
    of_vma_lock = {entry for program in designs.get("vma_lock").programs.values() for entry in program}
    for name in PARTS:
        entries = {entry for program in designs.get(name).programs.values() for entry in program}
        assert entries - of_vma_lock <= {tlb.flush_tlb_page}  # of reclaim, which batches its flushes there
    assert all(designs.get(name).programs == designs.get("v12_sound").programs for name in ALIASES)


@pytest.mark.parametrize(("name", "arch"), SOUND.items())
def test_sound_designs_hold(name, arch):
    run(designs.get(name), arch)


@pytest.mark.parametrize(("name", "arch"), THOROUGH.items())
def test_sound_designs_hold_under_all_operations(name, arch):
    run(designs.get(name), arch, operations=None, workers=3)


def test_v12_is_caught():
    """Without an MMU cache, which shows F10 at once."""
    broken = caught(designs.get("v12"), "pae", mmu=False)
    assert broken & {"rss_exact", "anon_rss_exact", "mapcount", "page_refs", "pfn_valid", "read_regular"}


def test_what_the_review_overlooked_is_caught():
    """A started task copies anon_rss from the one that starts it: no concurrency is needed.

    No reads: beside other load one may see another check broken first.
    """
    assert "anon_rss_exact" in caught(designs.get("v12_reviewed"), operations=("fault", "zap", "clone"), mmu=False)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="workers that take turns lose few updates: needs two CPUs")
def test_lost_updates_are_caught():
    """v11_sloppy promises nothing, so what it loses breaks nothing; held to what an exact counter promises, it does."""
    held_to_it = replace(designs.get("v11_sloppy"), bound=EXACT)
    broken = caught(held_to_it, operations=("fault", "zap", "statm"), mmu=False)
    assert broken & {"rss_exact", "anon_rss_exact", "read_regular", "read_pair"}


MUTANTS = {
    "zap keeps its lock": ("progress", {"zap": lambda p: p.drop(spinlock.spin_unlock)}),
    "zap leaks pages": ("page_refs", {"zap": lambda p: p.drop(page_alloc.page_cache_release)}),
    "zap keeps translations": ("mmu_cache", {"zap": lambda p: p.drop(tlb.flush_tlb_page)}),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name):
    check, edits = MUTANTS[name]
    mutant = designs.get("page_table_lock").edit(name=f"mutant_{check}", **edits)
    assert check in caught(mutant, operations=("fault", "zap", "statm"))
