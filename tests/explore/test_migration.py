"""Pages that move to other frames, and entries that are not present and yet count or hold a page."""

import pytest

from shm_layout.registers import R_ENTRY, R_NEW
from shm_layout.structs import FIRST_WORD, PTE
from stress import designs
from stress.explore import explore, search
from stress.kernel import fork, memory, migrate, pte_access, rmap, spinlock
from stress.kernel.pgtable import DIRTY, PTE_COUNTS, PTE_HOLDS, WRITABLE, YOUNG, mk_pte, page_to_pfn, pte_page
from stress.labels import OUT
from stress.program import At, Program
from stress.step import NEXT, step
from stress.workload import Workload

MIGRATION = designs.get("migration")

WORKLOADS = (
    "fault 0 w || migrate_pages | fault 0 w; zap 0 | statm",
    "fault 0 w; fork || migrate_pages | fault 0 w; exit | fault 0 w",
    "fault 0 w; fault 1 w || migrate_pages | swap_out; fault 0 | madvise_dontneed 1",
    "fault 0 w; swap_out || migrate_pages | fault 0; fault 0 w | swap_out",
    "fault 0 w; fork; swap_out; fault 0 || migrate_pages | exit; fault 0 w | fault 0",
    "fault 0 w || migrate_pages; migrate_pages | fork; fault 0 w | fault 0",
    "fault 0 w || migrate_pages | exec; fault 0 w | precise",
    "fault 0 w || migrate_pages | migrate_pages | access_process_vm 0 w mm=0",
)


@pytest.mark.parametrize("arch", ["64", "pae"])
@pytest.mark.parametrize("text", WORKLOADS)
def test_they_hold(text, arch):
    result = explore(MIGRATION, Workload.parse(text, arch=arch))
    assert result.complete
    assert result.violations == ()


def frames_at_the_end(design, text):
    """The frames that pte 0 of mm 0 may map at the end."""
    result, model = search(design, Workload.parse(text), finals=True)
    assert (result.complete, result.violations) == (True, ())
    return {pte_page(model.memory, memory[model.memory[PTE] - FIRST_WORD]) for memory, *_ in result.finals}


def test_a_page_moves():
    assert frames_at_the_end(MIGRATION, "fault 0 w; migrate_pages") == {2}


def test_a_page_that_somebody_holds_stays():
    """do_wp_page has a reference while it copies: the entry becomes the old page again, or the copy is in frame 2."""
    assert frames_at_the_end(MIGRATION, "fault 0 w; fork; exit || migrate_pages | fault 0 w") >= {1, 2}


PARTS = {
    "the entry is not held to count": (
        "fault 0 w || migrate_pages | zap 0",
        {"migrate_pages": lambda p: p.replace(migrate.make_migration_entry, memory.mk_young_pte)},
    ),
    "fork leaves the parent's entry writable": (
        "fault 0 w || migrate_pages | fork; fault 0 w | fault 0 w",
        {"fork": lambda p: p.drop(migrate.make_readable_migration_entry)},
    ),
    "the new page gets no reference": (
        "fault 0 w || migrate_pages | ",
        {"migrate_pages": lambda p: p.drop(fork.get_page_mapped)},
    ),
    "the new page is not mapped": (
        "fault 0 w || migrate_pages | ",
        {"migrate_pages": lambda p: p.drop(rmap.page_add_anon_rmap)},
    ),
    "an entry that fork copied behind the walk is left": (
        "fault 0 w; 1: fork; fork; 1: exit || fork | migrate_pages",
        {"migrate_pages": lambda p: p.drop(migrate.if_entries_left)},
    ),
    "the old page is kept": (
        "fault 0 w || migrate_pages | ",
        {"migrate_pages": lambda p: p.drop(migrate.release_old_folio)},
    ),
    "entries are looked for without the lock of the page table": (
        "fault 0 w || migrate_pages | zap 0",
        {"migrate_pages": lambda p: p.drop(spinlock.spin_lock).drop(spinlock.spin_unlock)},
    ),
}


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_needed(part):
    text, edits = PARTS[part]
    workload = Workload.parse(text)
    broken = MIGRATION.edit("a", "b", **edits)
    assert explore(broken, workload).violations
    assert explore(MIGRATION, workload).violations == ()


def test_a_fault_waits_for_the_page():
    """For ever where it is never unlocked."""
    locked = MIGRATION.edit(
        "a", "b", migrate_pages=lambda p: p.drop(migrate.unlock_old_folio).drop(migrate.release_old_folio)
    )
    assert explore(locked, Workload.parse("fault 0 w || migrate_pages | fault 0 w")).violation("progress")
    assert explore(locked, Workload.parse("fault 0 w || migrate_pages | statm")).violation("progress") is None


# entries of a user's own, as for memory of a device


def device(flags):
    """linux_6_8 with memory of a device: a page stays where it is, and its pte becomes an entry of these flags."""

    @step(private=True)
    def make_device_entry(m, r):
        """swp_pte = swp_entry_to_pte(make_writable_device_private_entry(pfn))"""
        r[R_NEW] = (page_to_pfn(m, pte_page(m, r[R_ENTRY])) << 12) | flags | WRITABLE
        return NEXT if r[R_ENTRY] & 1 else OUT

    @step(private=True)
    def make_present(m, r):
        """remove_migration_pte, back from the device"""
        r[R_NEW] = mk_pte(m, pte_page(m, r[R_ENTRY]), WRITABLE | DIRTY | YOUNG)
        return NEXT if r[R_ENTRY] & PTE_COUNTS else OUT

    def under_lock(change):
        lock = (memory.mmap_current, spinlock.down_read, spinlock.spin_lock, pte_access.READ_PTE)
        return Program(lock, change, pte_access.SET_PTE, At(OUT), spinlock.spin_unlock, spinlock.up_read)

    return designs.get("linux_6_8").with_programs(
        to_device=under_lock(make_device_entry), from_device=under_lock(make_present)
    )


DEVICE = Workload.parse("fault 0 w || to_device 0; from_device 0 | statm; precise | fault 1 w")


def test_an_entry_may_count_and_hold_its_page():
    result = explore(device(PTE_COUNTS | PTE_HOLDS), DEVICE)
    assert result.complete
    assert result.violations == ()


@pytest.mark.parametrize(("flags", "check"), [(PTE_HOLDS, "rss_exact"), (PTE_COUNTS, "mapcount")])
def test_an_entry_that_does_one_of_both_is_held_to_that(flags, check):
    assert explore(device(flags), DEVICE).violation(check)
