"""The operations around the fault: zap, fork, clone, exit, exec, swap-out, truncate and the reads.

They are the same in all designs but for how they count and how they write a pte: `operations` puts a
`Counter` and the accesses of a design into them. The order of the steps is that of Linux 2.6.10-rc.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stress.designs.parts.counter import Counter
from stress.kernel import barriers, filemap, fork, memory, page_alloc, pte_access, rmap, spinlock, tlb, vmscan
from stress.kernel import exit as exit_
from stress.labels import (
    LAST,
    NEXT_MM,
    NEXT_PTE,
    NOT_ANON,
    NOT_MAPPED,
    OUT,
    OUT_UNLOCK,
    RESERVED,
    SKIP,
    SWAP_ENTRY,
)
from stress.program import At, ByArch, Entry, Goto, Program, Source

FAULTS = ("fault", "access_process_vm", "use_mm")
"""Operations that contain the fault path."""
ZAPS = ("zap", "exit", "exec", "access_process_vm", "use_mm", "statm", "status", "stat", "precise")
"""Operations that contain a zap: munmap, and whatever may drop the last use of an mm."""

FAULT_BEGIN: tuple[Entry, ...] = (memory.mmap_current, spinlock.down_read)
FAULT_END: tuple[Entry, ...] = (
    At(OUT_UNLOCK),
    spinlock.spin_unlock,
    At(OUT),
    spinlock.up_read,
    memory.user_access,
)


@dataclass(frozen=True)
class Accesses:
    """How a design accesses ptes outside of the fault path."""

    set_pte: ByArch = pte_access.SET_PTE
    set_child_pte: ByArch = fork.SET_CHILD_PTE
    get_and_clear: ByArch = pte_access.PTEP_GET_AND_CLEAR
    xchg_flush: ByArch | None = None
    """ptep_xchg_flush of V12; None: swap-out clears the pte and then sets the swap entry."""


def zap_range(counter: Counter, accesses: Accesses) -> Program:
    """Return zap_pte_range over [R_ADDRESS, R_END), page_table_lock held, and the count at its end."""
    return Program(
        At(NEXT_PTE),
        accesses.get_and_clear,
        memory.zap_entry,
        tlb.flush_tlb_page,
        memory.if_not_reserved,
        rmap.if_page_anon,
        counter.dec_anon_rss if counter.zap_anon_rss is None else counter.zap_anon_rss,
        At(NOT_ANON),
        rmap.page_remove_rmap,
        page_alloc.page_cache_release,
        memory.count_freed,
        Goto(SKIP),
        At(SWAP_ENTRY),
        memory.free_swap_and_cache,
        At(SKIP),
        memory.next_pte,
        counter.sub_freed,
    )


def put_mm(counter: Counter, accesses: Accesses) -> Program:
    """Return mmput: the last user zaps everything (exit_mmap) and frees the mm."""
    return Program(
        exit_.mmput,
        spinlock.spin_lock,
        zap_range(counter, accesses),
        spinlock.spin_unlock,
        exit_.free_mm,
        At(LAST),
    )


def clear_pte(accesses: Accesses) -> tuple[Source, ...]:
    """Return the steps in which a pte goes, and its dirty bit moves to the page."""
    return (accesses.get_and_clear, tlb.flush_tlb_page, vmscan.move_dirty)


def unmap_one(counter: Counter, accesses: Accesses) -> Program:
    """Return try_to_unmap_one after its checks: the pte goes, and with it the count, the mapping and its reference."""
    unmapped = (counter.dec_rss, rmap.page_remove_rmap, page_alloc.page_cache_release)
    if accesses.xchg_flush is None:
        return Program(
            vmscan.mk_swap_pte,
            clear_pte(accesses),
            rmap.if_page_anon,
            vmscan.swap_duplicate_slot,
            accesses.set_pte,
            counter.dec_anon_rss,
            At(NOT_ANON),
            unmapped,
        )
    return Program(
        vmscan.mk_swap_pte,
        rmap.if_page_anon,
        vmscan.swap_duplicate_slot,
        accesses.xchg_flush,
        tlb.flush_tlb_page,
        vmscan.move_dirty,
        counter.dec_anon_rss,
        Goto(SKIP),
        At(NOT_ANON),
        clear_pte(accesses),
        At(SKIP),
        unmapped,
    )


def rmap_walk(*one: Source) -> Program:
    """Return a walk over all mms that may map a page: in each, ``one`` is done with its pte, page_table_lock held.

    The pte was read. Where it is none of the page's, ``one`` goes to `not_mapped`.
    """
    return Program(
        At(NEXT_MM),
        vmscan.next_vma,
        spinlock.spin_lock,
        pte_access.READ_PTE,
        one,
        At(NOT_MAPPED),
        spinlock.spin_unlock,
        vmscan.next_mm,
        At(LAST),
    )


def swap_out(counter: Counter, accesses: Accesses) -> Program:
    """Return swap-out: vmscan takes a page off the LRU and unmaps it from every mm (try_to_unmap)."""
    return Program(
        vmscan.isolate_lru_page,
        vmscan.add_to_swap_cache,
        rmap_walk(vmscan.page_check_address, unmap_one(counter, accesses)),
        vmscan.pageout,
    )


def truncate(counter: Counter, accesses: Accesses) -> Program:
    """Truncation of the file's page at R_ADDRESS: its ptes go under page_table_lock, without mmap_sem."""
    return Program(
        filemap.find_get_page,
        rmap_walk(
            vmscan.page_check_address,
            clear_pte(accesses),
            rmap.page_remove_rmap,
            page_alloc.page_cache_release,
            counter.dec_rss,
        ),
        filemap.truncate_complete_page,
        page_alloc.page_cache_release,
    )


def fork_(counter: Counter, accesses: Accesses) -> Program:
    """Return fork: a new task in a new mm, copy_page_range over [R_ADDRESS, R_END); the CPU goes on as the child."""
    return Program(
        barriers.smp_mb,
        fork.alloc_task_struct,
        fork.alloc_mm,
        counter.mm_init,
        counter.dup_task,
        fork.copy_mm,
        spinlock.down_write_queue,
        spinlock.down_write,
        spinlock.spin_lock_child,
        spinlock.spin_lock,
        At(NEXT_PTE),
        pte_access.READ_PTE,
        fork.copy_one_pte,
        fork.ptep_set_wrprotect,
        fork.get_page_mapped,
        counter.child_rss,
        rmap.if_page_anon,
        counter.child_anon_rss,
        At(NOT_ANON),
        accesses.set_child_pte,
        rmap.page_dup_rmap,
        Goto(SKIP),
        At(SWAP_ENTRY),
        fork.swap_duplicate_entry,
        At(RESERVED),
        accesses.set_child_pte,
        At(SKIP),
        memory.next_pte,
        spinlock.spin_unlock,
        spinlock.spin_unlock_child,
        tlb.flush_tlb_mm,
        spinlock.up_write,
        fork.act_on_child,
        counter.add_thread,
        fork.wake_up_new_task,
    )


def operations(fault: Program, counter: Counter, accesses: Accesses) -> Mapping[str, Program]:
    """Return all operations of a design with this fault path.

    A fault on another task's behalf and one of a kernel thread that borrowed the mm are the same fault,
    with the mm taken from another place.
    """
    put = put_mm(counter, accesses)
    reads = {"statm": counter.statm, "status": counter.status, "stat": counter.stat}
    if counter.precise:
        reads["precise"] = counter.precise
    on_other_mm = fault.drop(memory.mmap_current)
    programs = {
        "fault": fault,
        "zap": Program(
            memory.mmap_current,
            spinlock.down_write_queue,
            spinlock.down_write,
            spinlock.spin_lock,
            zap_range(counter, accesses),
            spinlock.spin_unlock,
            spinlock.up_write,
        ),
        "fork": fork_(counter, accesses),
        "clone": Program(
            barriers.smp_mb,
            fork.alloc_task_struct,
            counter.dup_task,
            fork.mm_users_inc,
            counter.add_thread,
            fork.wake_up_new_task,
        ),
        "exit": Program(exit_.do_exit, counter.remove_thread, put, exit_.schedule_parent),
        "exec": Program(
            exit_.do_execve,
            fork.alloc_mm,
            counter.mm_init,
            counter.remove_thread,
            exit_.activate_mm,
            counter.changed_mm,
            exit_.swap_mms,
            counter.add_thread,
            exit_.swap_mms,
            put,
        ),
        "swap_out": swap_out(counter, accesses),
        "truncate": truncate(counter, accesses),
        "access_process_vm": Program(exit_.get_task_mm, on_other_mm, put),
        "use_mm": Program(
            barriers.smp_mb,
            fork.alloc_task_struct,
            exit_.get_task_mm,
            exit_.use_mm,
            on_other_mm,
            exit_.unuse_mm,
            put,
        ),
        **{kind: Program(exit_.get_task_mm, read, put) for kind, read in reads.items()},
    }
    return {**programs, **counter.more}
