"""Huge pages, MADV_DONTNEED beside NUMA balancing, and page tables that khugepaged takes away."""

import pytest

from stress import designs
from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.explore import explore
from stress.kernel import huge_memory, madvise, pgalloc
from stress.kernel.rss import task
from stress.labels import DO_NO_PAGE
from stress.workload import Workload

THP = designs.get("thp")
ANON = {"anon": 2, "swap": 1}
FILE = {"anon": 0, "shared_file": 1}

WORKLOADS = (
    ("fault 0 w | fault 1 w | fault 0", ANON),
    ("fault 0 w || zap 0 | fault 1 w", ANON),
    ("fault 0 w || madvise_dontneed 0-1; fault 1 w | madvise_dontneed 1", ANON),
    ("fault 0 w || change_prot_numa 0; fault 0 w | madvise_dontneed 0-1", ANON),
    ("fault 0 w || fork; fault 0 w; exit | change_prot_numa 1; fault 1 w", ANON),
    ("fault 0 w; zap 0 || swap_out; fault 0 w | fault 1 w", ANON),
    ("fault 0 w; fork || zap 0-1; fault 0 w | access_process_vm 1 w mm=1; precise", ANON),
    ("fault 0; madvise_dontneed 0 || fault 0; collapse_file 0 | fault 0 w | truncate 0", FILE),
    ("fault 0; fork || fault 0 w | exit; collapse_file 0", FILE),
)


@pytest.mark.parametrize("arch", ["64", "pae"])
@pytest.mark.parametrize(("text", "machine"), WORKLOADS)
def test_they_hold(text, machine, arch):
    result = explore(THP, Workload.parse(text, arch=arch, **machine))
    assert result.complete
    assert result.violations == ()


NO_LOOK = everywhere(FAULTS, lambda p: p.drop(huge_memory.if_pmd_still_none))
EDITS = {
    "no second look at the pmd": ("fault 0 w | fault 0 w", ANON, {"page_refs", "mapcount"}, NO_LOOK),
    "a zap does not look again under the lock": (
        "fault 0 w || madvise_dontneed 0-1 | madvise_dontneed 0-1",
        ANON,
        {"page_refs", "mapcount"},
        {"madvise_dontneed": lambda p: p.drop(huge_memory.pmd_trans_huge_lock)},
    ),
    "a file fault trusts its table": (
        "fault 0; madvise_dontneed 0 || fault 0 w | collapse_file 0",
        FILE,
        {"page_tables"},
        everywhere(FAULTS, lambda p: p.drop(pgalloc.if_page_table, within=DO_NO_PAGE)),
    ),
    "a table is freed without a grace period": (
        "fault 0; madvise_dontneed 0 || fault 0 | collapse_file 0",
        FILE,
        {"page_tables"},
        {"collapse_file": lambda p: p.drop(pgalloc.pte_free_defer)},
    ),
    "faults do not say that they look": (
        "fault 0; madvise_dontneed 0 || fault 0 | collapse_file 0",
        FILE,
        {"page_tables"},
        {"fault": lambda p: p.splice((task.rcu_read_lock,))},
    ),
    "a table that was put by is kept": (
        "fault 0 w || zap 0-1",
        ANON,
        {"page_refs", "page_tables"},
        {"zap": lambda p: p.drop(huge_memory.zap_deposited_table)},
    ),
    "one page is counted for all": (
        "fault 0 w",
        ANON,
        {"rss_exact"},
        {"fault": lambda p: p.drop(huge_memory.huge_rss_up)},
    ),
    "fork does not split": (
        "fault 0 w || fork",
        ANON,
        {"data_kept", "mapcount", "page_refs", "page_tables", "rss_exact", "user"},
        {"fork": lambda p: p.drop(huge_memory.split_huge_pmd).drop(pgalloc.pte_alloc_map_child)},
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_each_part_is_needed(name):
    text, machine, checks, edits = EDITS[name]
    broken = explore(THP.edit("a", "b", **edits), Workload.parse(text, **machine)).violations
    assert {violation.check for violation in broken} & checks


def test_a_huge_page_has_frames_in_a_row_or_is_none():
    """Without room for a huge page the fault falls back to a page table; with none for that, to nothing."""
    for frames in (2, 3, 4):
        result = explore(THP, Workload.parse("fault 0 w | fault 1 w", frames=frames, **{**ANON, "swap": 0}))
        assert result.complete
        assert result.violations == ()


def test_what_is_stored_meanwhile_may_stay():
    """Two MADV_DONTNEED at once, and a store between them, are not taken for data that was left."""
    text = "fault 0 w || madvise_dontneed 0 | fault 0 w; madvise_dontneed 0"
    for name in ("thp", "linux_6_8", "tlb_batch"):
        assert explore(designs.get(name), Workload.parse(text)).violations == ()


def test_data_that_is_left_is_seen_on_page_tables_too():
    kept = designs.get("linux_6_8").edit("a", "b", madvise_dontneed=lambda p: p[:3] + p[-2:])
    assert madvise.is_dropped in kept.programs["madvise_dontneed"]
    assert explore(kept, Workload.parse("fault 0 w || madvise_dontneed 0")).violation("dropped")
