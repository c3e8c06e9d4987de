"""Page tables that come and go: a pmd entry is populated by cmpxchg, a fork makes tables, munmap and exit free them."""

import pytest

from stress import designs
from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS, ZAPS
from stress.explore import explore
from stress.explore.counterexample.trace import trace
from stress.explore.model.model import build
from stress.findings.n12 import sound_two_levels
from stress.kernel import pgalloc
from stress.machine_kind import HUGE_PAGES, TWO_LEVELS
from stress.workload import Workload

SOUND = sound_two_levels()

WORKLOADS = (
    "fault 0 w | fault 0 w",
    "fault 0 w | fault 1 w | fault 2",
    "fault 0 w; zap 0-1 | fault 1 w; zap 1",
    "fault 0 w; fault 2 w || fork 0-1; fault 0 w; exit | fault 2 w; swap_out",
    "fault 0 w || fork; exit | access_process_vm 2 w mm=1",
    "fault 0 w; fork; fault 2 w || exec; fault 0 w | use_mm 2 w mm=1",
)
MACHINE = {"anon": 3, "ptrs_per_pte": 2, "swap": 1}


@pytest.mark.parametrize("arch", ["64", "pae"])
@pytest.mark.parametrize("text", WORKLOADS)
def test_tables_come_and_go(text, arch):
    result = explore(SOUND, Workload.parse(text, arch=arch, **MACHINE))
    assert result.complete
    assert result.violations == ()


EDITS = {
    "the loser keeps its table": ("fault 0 w | fault 0 w", "page_refs", FAULTS, lambda p: p.drop(pgalloc.pte_free)),
    "populated by a store": (
        "fault 0 w | fault 0 w",
        "page_refs",
        FAULTS,
        lambda p: p.replace(pgalloc.pmd_test_and_populate, pgalloc.pmd_populate),
    ),
    "a child without tables": (
        "fault 0 w || fork",
        "page_tables",
        ("fork",),
        lambda p: p.drop(pgalloc.pte_alloc_map_child),
    ),
    "an exit that frees none": (
        "fault 0 w || fork; exit",
        "page_tables",
        tuple(name for name in ZAPS if name in SOUND.programs),
        lambda p: p.drop(pgalloc.free_pte_range),
    ),
    "tables are not counted": ("fault 0", "page_tables", FAULTS, lambda p: p.drop(pgalloc.mm_inc_nr_ptes)),
    "no table is made": ("fault 0", "page_tables", FAULTS, lambda p: p.drop(pgalloc.pmd_test_and_populate)),
}


@pytest.mark.parametrize("name", EDITS)
def test_each_part_is_needed(name):
    text, check, operations, change = EDITS[name]
    broken = SOUND.edit("a", "b", **everywhere(operations, change))
    assert explore(broken, Workload.parse(text, **MACHINE)).violation(check)


def test_what_is_wrong_is_said_in_numbers():
    workload = Workload.parse("fault 0 w | fault 1 w", ptrs_per_pte=1)
    design = designs.get("v15_current")
    violation = explore(design, workload).violation("page_tables")
    assert "mm 0 has nr_ptes 1 and 2 page tables" in trace(build(design, workload), violation).wrong


def test_the_semicolon_hides_everything_else():
    """The first fault of all has freed the table that its page is mapped in."""
    assert explore(designs.get("v14_semicolon"), Workload.parse("fault 0 w")).violation("page_refs")
    assert explore(designs.get("v14"), Workload.parse("fault 0 w")).violation("page_refs") is None


def test_a_machine_has_frames_for_its_tables():
    machine = Workload.parse("fault 0 w; fork | fault 3").machine
    two, huge = TWO_LEVELS.of(machine), HUGE_PAGES.of(machine)
    assert (two.pmd, two.ptrs_per_pte, two.page_tables) == (True, 2, 2)
    assert two.frames == machine.frames + 2 * 2
    assert huge.frames == two.frames + 2 * 2
    assert TWO_LEVELS.of(two) == two
    assert TWO_LEVELS.of(Workload.parse("fault 3", ptrs_per_pte=4).machine).ptrs_per_pte == 4


def test_designs_without_page_tables_have_no_word_more():
    workload = Workload.parse("fault 0 w")
    layout = explore(designs.get("v12_sound"), workload).workload.machine
    assert not layout.pmd
    assert not layout.vmas
