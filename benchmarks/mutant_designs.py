"""Mutants: v12_sound with one edit each. Data for `mutants.py`, and for tests that need a broken design.

An edit that concerns the fault path is made in each operation that contains it. ``harmless`` says why a mutant that
no hunt catches breaks nothing; it is empty where one is expected to be caught. ``by_hand`` is a workload that breaks
one that a short hunt may miss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shm_layout.machine import ARCHES
from stress import designs
from stress.design import Design
from stress.designs.parts.operations import FAULTS
from stress.designs.v12 import INC_TASK_ANON_RSS, INC_TASK_RSS
from stress.designs.v12_reviewed import SINGLE_PASS
from stress.designs.v12_sound import GET_RSS_LOCKED
from stress.kernel import exit as exit_
from stress.kernel import fork, memory, page_alloc, pte_access, rmap, spinlock, swap, tlb, vmscan
from stress.kernel.rss import mm, task
from stress.labels import (
    COPY,
    DO_ANONYMOUS_PAGE,
    DO_NO_PAGE,
    DO_SWAP_PAGE,
    DO_WP_PAGE,
    DO_ZERO_PAGE,
    NOT_MAPPED,
    OTHER_MM,
    OUT,
    OUT_UNLOCK,
    PTE_PRESENT,
    SKIP,
)
from stress.program import At, Entry, Goto, Program, Source, assemble

SOUND = "v12_sound"
LOCK, UNLOCK = spinlock.spin_lock, spinlock.spin_unlock
READS = ("statm", "status", "stat")


@dataclass(frozen=True)
class Mutant:
    """``operations`` of v12_sound with the edit ``change``; ``what`` says in a line what was done to it."""

    name: str
    what: str
    operations: tuple[str, ...]
    change: Callable[[Program], Program]
    harmless: str = ""
    by_hand: str = ""

    def design(self) -> Design:
        """Return the design. Raises `ValueError` when the edit fits nowhere in one of the operations."""
        sound = designs.get(SOUND)
        changes = {name: self.change for name in self.operations if name in sound.programs}
        return sound.edit(self.name, self.what, name=f"mutant_{self.name}", **changes)

    def arches(self) -> list[str]:
        """Return those on which the mutant takes other steps than v12_sound."""
        mutant, sound = self.design().programs, designs.get(SOUND).programs
        return [a for a in ARCHES if any(assemble(p, a) != assemble(sound[name], a) for name, p in mutant.items())]


def _drop(entry: Entry, within: int | None = None) -> Callable[[Program], Program]:
    return lambda p: p.drop(entry, within=within)


def _swap(first: Entry, second: Entry, within: int | None = None) -> Callable[[Program], Program]:
    return lambda p: p.swap(first, second, within=within)


def _put(old: tuple[Entry, ...], *new: Source, within: int | None = None) -> Callable[[Program], Program]:
    return lambda p: p.splice(old, *new, within=within)


def _around(
    left: tuple[Entry, ...], right: tuple[Entry, ...], lock: Entry, unlock: Entry
) -> Callable[[Program], Program]:
    """Leave out the lock at the end of ``left`` and the unlock at the beginning of ``right``."""
    return lambda p: p.splice((*left, lock), left).splice((unlock, *right), right)


def _fault(name: str, what: str, change: Callable[[Program], Program], harmless: str = "") -> Mutant:
    return Mutant(name, what, FAULTS, change, harmless)


def _early_count(p: Program) -> Program:
    counted = p.splice(INC_TASK_RSS, within=DO_ANONYMOUS_PAGE)
    return counted.before(pte_access.PTEP_CMPXCHG, INC_TASK_RSS, within=DO_ANONYMOUS_PAGE)


def _no_mmap_sem(p: Program) -> Program:
    return p.drop(spinlock.down_read).drop(spinlock.up_read)


def _read_mmap_sem(p: Program) -> Program:
    shared = p.splice((spinlock.down_write_queue, spinlock.down_write), spinlock.down_read)
    return shared.replace(spinlock.up_write, spinlock.up_read)


def _no_write_mmap_sem(p: Program) -> Program:
    free = p.splice((spinlock.down_write_queue, spinlock.down_write))
    return free.drop(spinlock.up_write)


def _swap_free_first(p: Program) -> Program:
    p = p.drop(memory.swap_free_entry, within=DO_SWAP_PAGE)
    return p.before(pte_access.PTE_SAME, memory.swap_free_entry, within=DO_SWAP_PAGE)


def _zero_first(p: Program) -> Program:
    return p.drop(exit_.zero_task_rss).before(task.fold_rss, exit_.zero_task_rss)


def _publish_first(p: Program) -> Program:
    return p.drop(fork.act_on_child).after(fork.copy_mm, fork.act_on_child)


ANONYMOUS = (
    _fault(
        "lru_before_rmap",
        "the page is on the LRU before its mapping is counted",
        _swap(swap.lru_cache_add_active, rmap.page_add_anon_rmap, DO_ANONYMOUS_PAGE),
    ),
    _fault(
        "anon_cmpxchg_plain",
        "ptep_cmpxchg of an anonymous fault is a test and a set_pte",
        lambda p: p.replace(
            pte_access.PTEP_CMPXCHG, pte_access.PTE_NONE, pte_access.SET_PTE_ATOMIC, within=DO_ANONYMOUS_PAGE
        ),
    ),
    _fault(
        "zero_cmpxchg_plain",
        "ptep_cmpxchg of a read fault is a test and a set_pte",
        lambda p: p.replace(
            pte_access.PTEP_CMPXCHG, pte_access.PTE_NONE, pte_access.SET_PTE_ATOMIC, within=DO_ZERO_PAGE
        ),
    ),
    _fault(
        "young_cmpxchg_plain",
        "ptep_cmpxchg that marks a pte young is a set_pte",
        lambda p: p.replace(pte_access.PTEP_CMPXCHG, pte_access.SET_PTE_ATOMIC, within=PTE_PRESENT),
    ),
    _fault(
        "cmpxchg_low",
        "ptep_cmpxchg compares and writes the low half",
        lambda p: p.replace(pte_access.PTEP_CMPXCHG, pte_access.PTEP_CMPXCHG_LOW),
    ),
    _fault(
        "read_in_halves",
        "handle_pte_fault reads the entry in two halves",
        lambda p: p.replace(pte_access.GET_PTE_ATOMIC, pte_access.READ_PTE),
    ),
    _fault(
        "set_in_halves",
        "set_pte of the fault path writes two halves",
        lambda p: p.replace(pte_access.SET_PTE_ATOMIC, pte_access.SET_PTE),
    ),
    _fault(
        "raced_page_kept",
        "the page of a fault that lost the race is not released",
        _drop(page_alloc.page_cache_release, DO_ANONYMOUS_PAGE),
    ),
    _fault("no_rmap", "page_add_anon_rmap is left out", _drop(rmap.page_add_anon_rmap, DO_ANONYMOUS_PAGE)),
    _fault(
        "no_lru",
        "lru_cache_add_active is left out",
        _drop(swap.lru_cache_add_active, DO_ANONYMOUS_PAGE),
        "vmscan never finds the page: it cannot be swapped out, but nothing is lost or counted wrongly",
    ),
    _fault(
        "not_accessed",
        "mark_page_accessed is left out",
        _drop(swap.mark_page_accessed, DO_ANONYMOUS_PAGE),
        "PG_referenced only tells vmscan in which order to take pages: none of the checks depends on it",
    ),
    _fault("no_rss", "rss is not counted", _put(INC_TASK_RSS, within=DO_ANONYMOUS_PAGE)),
    _fault("no_anon_rss", "anon_rss is not counted", _put(INC_TASK_ANON_RSS, within=DO_ANONYMOUS_PAGE)),
    _fault("rss_before_pte", "rss is counted before it is known who wins the race", _early_count),
    _fault("no_owner_test", "counts on current without a test", _drop(task.if_own)),
    _fault(
        "owner_by_mm", "counts on current if current->mm is the mm", lambda p: p.replace(task.if_own, task.if_own_mm)
    ),
    _fault(
        "owner_by_flag", "counts on current if no mm is borrowed", lambda p: p.replace(task.if_own, task.if_own_task)
    ),
    _fault(
        "other_rss_unlocked",
        "another mm's rss is counted without page_table_lock",
        _put((At(OTHER_MM), LOCK, *mm.INC_RSS, UNLOCK), At(OTHER_MM), mm.INC_RSS, within=DO_ANONYMOUS_PAGE),
    ),
    _fault(
        "mmu_cache_unlocked",
        "update_mmu_cache of an anonymous fault without page_table_lock",
        _put(
            (tlb.if_mmu_cache, LOCK, pte_access.PTE_STILL_NEW, tlb.update_mmu_cache),
            tlb.if_mmu_cache,
            pte_access.PTE_STILL_NEW,
            tlb.update_mmu_cache,
            LOCK,
            within=DO_ANONYMOUS_PAGE,
        ),
    ),
    _fault(
        "mmu_cache_untested",
        "update_mmu_cache of an anonymous fault whatever has become of the pte",
        _drop(pte_access.PTE_STILL_NEW, DO_ANONYMOUS_PAGE),
    ),
    _fault("no_mmap_sem", "a fault takes no mmap_sem", _no_mmap_sem),
)

FILE = (
    _fault(
        "file_no_recheck",
        "do_no_page does not look whether the pte is still none",
        _drop(pte_access.PTE_NONE, DO_NO_PAGE),
    ),
    _fault(
        "file_page_kept",
        "a page of the file that was copied is not released",
        _drop(page_alloc.page_cache_release_old, DO_NO_PAGE),
    ),
    _fault(
        "file_raced_kept",
        "the page of a file fault that lost the race is not released",
        _drop(page_alloc.page_cache_release, DO_NO_PAGE),
    ),
    _fault("file_no_rmap", "page_add_file_rmap is left out", _drop(rmap.page_add_file_rmap, DO_NO_PAGE)),
    _fault(
        "file_rmap_late",
        "page_table_lock is released before page_add_file_rmap",
        _put(
            (rmap.page_add_file_rmap, tlb.update_mmu_cache, Goto(OUT_UNLOCK)),
            (tlb.update_mmu_cache, UNLOCK, rmap.page_add_file_rmap, Goto(OUT)),
            within=DO_NO_PAGE,
        ),
    ),
    _fault(
        "file_rss_early",
        "do_no_page counts rss before it has page_table_lock",
        _put((LOCK, pte_access.PTE_NONE, *mm.INC_RSS), mm.INC_RSS, LOCK, pte_access.PTE_NONE, within=DO_NO_PAGE),
    ),
)

SWAPPED = (
    _fault(
        "swap_no_recheck",
        "do_swap_page does not look whether the entry is the same",
        _drop(pte_access.PTE_SAME, DO_SWAP_PAGE),
    ),
    _fault("swap_slot_kept", "do_swap_page does not free the swap entry", _drop(memory.swap_free_entry, DO_SWAP_PAGE)),
    _fault(
        "swap_free_first", "do_swap_page frees the swap entry before it looks whether it is the same", _swap_free_first
    ),
    _fault(
        "swap_raced_kept",
        "the page of a swap-in that lost the race is not released",
        _drop(page_alloc.page_cache_release, DO_SWAP_PAGE),
    ),
    _fault("swap_no_rmap", "do_swap_page does not count the mapping", _drop(rmap.page_add_anon_rmap, DO_SWAP_PAGE)),
    _fault(
        "swap_free_late",
        "do_swap_page frees the swap entry when the pte is set, not before",
        _swap(memory.swap_free_entry, pte_access.SET_PTE_ATOMIC, DO_SWAP_PAGE),
    ),
)

COPIED = (
    _fault(
        "wp_no_recheck",
        "do_wp_page does not look at the entry again under the lock",
        _drop(pte_access.PTE_SAME, DO_WP_PAGE),
    ),
    _fault(
        "copy_no_recheck",
        "do_wp_page does not look at the entry again when it has copied",
        _drop(pte_access.PTE_SAME, COPY),
    ),
    _fault(
        "copy_no_get",
        "do_wp_page takes no reference of the page that it copies",
        _drop(page_alloc.page_cache_get, COPY),
    ),
    _fault("copy_no_flush", "do_wp_page does not flush the old translation", _drop(tlb.flush_tlb_page, COPY)),
    _fault(
        "copy_old_mapped",
        "do_wp_page does not take back the old page's mapping",
        _drop(rmap.page_remove_rmap_old, COPY),
    ),
    _fault("copy_anon_twice", "do_wp_page does not count the old anonymous page down", _drop(mm.dec_mm_anon_rss, COPY)),
    _fault("always_reused", "do_wp_page reuses every page", _drop(memory.can_share_page, DO_WP_PAGE)),
    _fault(
        "copy_lru_last",
        "do_wp_page puts the copy on the LRU when its mapping has been counted",
        _swap(swap.lru_cache_add_active, rmap.page_add_anon_rmap, COPY),
        "both happen under page_table_lock, which vmscan takes before it looks at the pte",
    ),
)

ZAPPED = (
    Mutant("zap_no_flush", "a zap flushes no translation", ("zap",), _drop(tlb.flush_tlb_page)),
    Mutant(
        "zap_free_before_rmap",
        "a zap drops the page's reference before its mapping",
        ("zap",),
        _swap(page_alloc.page_cache_release, rmap.page_remove_rmap),
    ),
    Mutant("zap_anon_kept", "a zap does not count anon_rss down", ("zap",), _drop(mm.dec_mm_anon_rss)),
    Mutant("zap_rss_kept", "a zap does not count the pages that it frees", ("zap",), _drop(memory.count_freed)),
    Mutant("zap_slot_kept", "a zap does not free swap entries", ("zap",), _drop(memory.free_swap_and_cache)),
    Mutant(
        "zap_rss_unlocked",
        "a zap releases page_table_lock before it counts rss",
        ("zap",),
        _put((*mm.SUB_FREED, UNLOCK), UNLOCK, mm.SUB_FREED),
    ),
    Mutant("zap_shared", "a zap takes mmap_sem for reading", ("zap",), _read_mmap_sem),
)

STARTED = (
    Mutant("fork_no_flush", "fork flushes no translation", ("fork",), _drop(tlb.flush_tlb_mm)),
    Mutant("fork_no_get", "fork takes no reference of a page", ("fork",), _drop(fork.get_page_mapped)),
    Mutant("fork_no_rmap", "fork does not count the child's mapping", ("fork",), _drop(rmap.page_dup_rmap)),
    Mutant("fork_no_wrprotect", "fork leaves the ptes writable", ("fork",), _drop(fork.ptep_set_wrprotect)),
    Mutant("fork_slot_lost", "fork does not count the child's swap entry", ("fork",), _drop(fork.swap_duplicate_entry)),
    Mutant("fork_no_rss", "fork does not count the child's rss", ("fork",), _drop(mm.inc_child_rss)),
    Mutant(
        "fork_unlocked",
        "fork copies without the parent's page_table_lock",
        ("fork",),
        _around((spinlock.spin_lock_child,), (spinlock.spin_unlock_child,), LOCK, UNLOCK),
        by_hand="swap_out | fault 0 w; fork",
    ),
    Mutant(
        "fork_child_unlocked",
        "fork copies without the child's page_table_lock",
        ("fork",),
        lambda p: p.drop(spinlock.spin_lock_child).drop(spinlock.spin_unlock_child),
        by_hand="fault 0 w; fault 1 w || fault 0; fork | swap_out",
    ),
    Mutant("fork_no_mmap_sem", "fork copies without mmap_sem", ("fork",), _no_write_mmap_sem),
    Mutant("fork_published_early", "the child's mm can be found before it is copied", ("fork",), _publish_first),
    Mutant(
        "clone_keeps_anon",
        "a started thread keeps a copy of anon_rss",
        ("clone",),
        lambda p: p.replace(fork.dup_task_struct_zeroed, fork.dup_task_struct),
    ),
    Mutant(
        "clone_no_user",
        "a started thread is no user of its mm",
        ("clone",),
        _drop(fork.mm_users_inc),
        by_hand="clone; clone; exit || exit | fault 0 w",
    ),
    Mutant("clone_unlisted", "a started thread is not put on the mm's list", ("clone",), _drop(task.list_add_rcu)),
)

ENDED = (
    Mutant(
        "exit_no_fold",
        "a task that exits does not fold its rss",
        ("exit",),
        _drop(task.fold_rss),
        by_hand="clone; fault 0 w; exit",
    ),
    Mutant("exit_listed", "a task that exits stays on the list", ("exit",), _drop(task.list_del_rcu)),
    Mutant(
        "exit_fold_unlocked",
        "a task that exits folds its counts without page_table_lock",
        ("exit",),
        _put((LOCK, mm.read_mm_rss, task.fold_rss), mm.read_mm_rss, task.fold_rss, LOCK),
    ),
    Mutant(
        "exit_fold_late",
        "fold_rss and list_del_rcu change places, so that it adds to what was read of anon_rss",
        ("exit",),
        _swap(task.fold_rss, task.list_del_rcu),
    ),
    Mutant("exec_keeps_counts", "exec does not set the task's counts to 0", ("exec",), _drop(exit_.zero_task_rss)),
    Mutant("exec_zero_first", "exec sets the task's counts to 0 before it folds them", ("exec",), _zero_first),
)

UNMAPPED = (
    Mutant(
        "xchg_in_halves",
        "swap-out exchanges the pte half by half",
        ("swap_out",),
        lambda p: p.replace(pte_access.PTEP_XCHG_FLUSH, pte_access.PTEP_XCHG_FLUSH_LOW),
    ),
    Mutant(
        "xchg_plain",
        "swap-out reads the pte and then sets it, not by an exchange",
        ("swap_out",),
        lambda p: p.replace(pte_access.PTEP_XCHG_FLUSH, pte_access.READ_PTE, pte_access.SET_PTE_ATOMIC),
        "page_table_lock is held from the read to the set: only ptep_cmpxchg of the present pte comes in between, and "
        "what is lost is its young or its dirty bit; private pages are dirty since they became writable, and pages of "
        "a shared file are never written back in this model (in a kernel this would lose what was written)",
    ),
    Mutant("swap_out_no_flush", "swap-out flushes no translation", ("swap_out",), _drop(tlb.flush_tlb_page)),
    Mutant(
        "swap_out_clean", "swap-out does not move the dirty bit to the page", ("swap_out",), _drop(vmscan.move_dirty)
    ),
    Mutant(
        "swap_out_no_slot", "swap-out does not count the swap entry", ("swap_out",), _drop(vmscan.swap_duplicate_slot)
    ),
    Mutant(
        "swap_out_slot_late",
        "swap-out counts the swap entry when it is set, not before",
        ("swap_out",),
        _swap(vmscan.swap_duplicate_slot, pte_access.PTEP_XCHG_FLUSH),
        "the one that frees the new entry takes page_table_lock first, and until then the swap cache keeps the slot",
    ),
    Mutant(
        "swap_out_unlocked_rss",
        "swap-out releases page_table_lock before it counts rss",
        ("swap_out",),
        _put(
            (*mm.DEC_RSS, rmap.page_remove_rmap, page_alloc.page_cache_release, At(NOT_MAPPED), UNLOCK),
            (rmap.page_remove_rmap, page_alloc.page_cache_release, UNLOCK, mm.DEC_RSS),
            (Goto(SKIP), At(NOT_MAPPED), UNLOCK, At(SKIP)),
        ),
    ),
    Mutant(
        "swap_out_no_check", "swap-out unmaps whatever pte it finds", ("swap_out",), _drop(vmscan.page_check_address)
    ),
    Mutant("truncate_no_flush", "truncation flushes no translation", ("truncate",), _drop(tlb.flush_tlb_page)),
    Mutant("truncate_no_rss", "truncation does not count rss down", ("truncate",), _drop(mm.dec_mm_rss)),
    Mutant("truncate_mapped", "truncation leaves the page's mapping", ("truncate",), _drop(rmap.page_remove_rmap)),
)

READ = (
    Mutant(
        "read_unlocked",
        "a read sums under RCU",
        READS,
        _put(tuple(GET_RSS_LOCKED), SINGLE_PASS),
        by_hand="clone; fault 0 w || exit | statm",
    ),
    Mutant(
        "read_unlocked_early",
        "a read releases page_table_lock between the mm's counters and the tasks'",
        READS,
        _put((task.first_task,), UNLOCK, LOCK, task.first_task),
        by_hand="clone; fault 0 w || exit | statm",
    ),
    Mutant("read_no_task_anon", "a read does not sum the tasks' anon_rss", READS, _drop(task.add_task_anon_rss)),
    Mutant("read_first_task", "a read sums the first task only", READS, _drop(task.next_task)),
)

MUTANTS: tuple[Mutant, ...] = (
    *ANONYMOUS,
    *FILE,
    *SWAPPED,
    *COPIED,
    *ZAPPED,
    *STARTED,
    *ENDED,
    *UNMAPPED,
    *READ,
)


def get(name: str) -> Mutant:
    """Return the mutant of that name. Raises `KeyError` when there is none."""
    return {m.name: m for m in MUTANTS}[name]
