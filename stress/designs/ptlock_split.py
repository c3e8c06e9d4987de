"""Split page-table locks and split counters of Linux 2.6.15, on the fault path of v12_sound."""

from __future__ import annotations

from stress.designs.parts.correction import Correction, everywhere
from stress.designs.parts.counter import Counter
from stress.designs.parts.operations import FAULTS
from stress.designs.v12_sound import on_sound_path
from stress.kernel import exit as exit_
from stress.kernel import memory, proc, spinlock, tlb
from stress.kernel.rss import amount
from stress.kernel.rss import ptlock_split as split
from stress.kernel.rss.atomic import atomic_add
from stress.labels import FILE_COUNTED, NEXT_PTE
from stress.program import At, Entry, Program

_GET_RSS = (split.sum_file_rss, split.sum_file_and_anon_rss)
_FILE_COUNTED: tuple[Entry, ...] = (atomic_add, At(FILE_COUNTED))

FILE_AND_ANON = Counter(
    fault_rss=(),
    fault_anon_rss=(amount.anon_rss_up, atomic_add),
    inc_rss=(amount.file_rss_up, *_FILE_COUNTED),
    inc_anon_rss=(amount.anon_rss_up, atomic_add),
    dec_rss=(amount.file_rss_down, *_FILE_COUNTED),
    dec_anon_rss=(amount.anon_rss_down, atomic_add),
    zap_anon_rss=(amount.count_anon_freed,),
    sub_freed=(amount.anon_rss_freed, atomic_add, amount.file_rss_freed, atomic_add),
    unmap_old=(amount.old_file_rss_down, *_FILE_COUNTED),
    child_rss=(amount.child_file_rss_up, *_FILE_COUNTED),
    child_anon_rss=(amount.child_anon_rss_up, atomic_add),
    mm_init=(split.init_file_rss,),
    statm=(*_GET_RSS, proc.show_statm_positive),
    status=(*_GET_RSS, proc.show_rss_positive),
    stat=(*_GET_RSS, proc.show_rss_positive),
)
"""file_rss and anon_rss, each by atomic add; rss is their sum."""


def _lock_pte(p: Program) -> Program:
    """Return the program with the lock of the pte's page in the place of page_table_lock."""
    return p.replace(spinlock.spin_lock, split.pte_lock).replace(spinlock.spin_unlock, split.pte_unlock)


def _zap(p: Program) -> Program:
    """Return the zap that takes the lock of one page-table page after the other."""
    p = p.after(At(NEXT_PTE), split.pte_offset_map_lock)
    return p.before(memory.next_pte, split.pte_unmap_unlock)


def _exit_mmap(p: Program) -> Program:
    """Return the zap of an mm's last user."""
    p = p.splice((exit_.mmput, spinlock.spin_lock), exit_.mmput)
    return _zap(p.splice((spinlock.spin_unlock, exit_.free_mm), exit_.free_mm))


def _munmap(p: Program) -> Program:
    p = p.splice((spinlock.down_write, spinlock.spin_lock), spinlock.down_write)
    return _zap(p.splice((spinlock.spin_unlock, spinlock.up_write), spinlock.up_write))


def _copy_page_range(p: Program) -> Program:
    locks = (spinlock.spin_lock_child, spinlock.spin_lock)
    p = p.splice((spinlock.down_write, *locks), spinlock.down_write)
    p = p.splice((spinlock.spin_unlock, spinlock.spin_unlock_child, tlb.flush_tlb_mm), tlb.flush_tlb_mm)
    p = p.after(At(NEXT_PTE), split.pte_offset_map_lock_child, split.pte_offset_map_lock)
    return p.before(memory.next_pte, split.pte_unmap_unlock_child, split.pte_unmap_unlock)


SPLIT_PTLOCK = Correction(
    "split_ptlock",
    "each page-table page has a lock of its own, which guards its ptes",
    {
        "fault": _lock_pte,
        **everywhere(FAULTS[1:], lambda p: _lock_pte(_exit_mmap(p))),
        **everywhere(("swap_out", "truncate"), _lock_pte),
        **everywhere(("exit", "exec", "statm", "status", "stat"), _exit_mmap),
        "zap": _munmap,
        "fork": _copy_page_range,
    },
)

DESIGN = SPLIT_PTLOCK.apply(
    on_sound_path(
        "ptlock_split",
        2005,
        "Linux 2.6.15, split ptlock and split rss",
        "a lock for each page-table page, file_rss and anon_rss by atomic add",
        FILE_AND_ANON,
    )
)
