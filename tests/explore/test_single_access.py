"""A step makes at most one access to shared memory that matters: measured on a memory that notes each access."""

import random
from collections import defaultdict

import pytest

from shm_layout.registers import R_CPU, REGISTERS
from shm_layout.structs import SHADOWS
from stress import designs
from stress.explore.counterexample import words
from stress.explore.counterexample.trace import Player, Taken
from stress.explore.model.model import build
from stress.step import info
from stress.workload import Workload

WORKLOADS = (
    "fault 0 w; fault 1; zap 0-1 | fault 0 w; swap_out frame=1; fault 0 | statm; status; stat",
    "fault 0 w; fault 1 w || fork; fault 0 w; exit | swap_out frame=2; fault 1 | clone; fault 1 w; exit; exec",
    "fault 2; fault 3 w; fault 2 w | truncate 3; swap_out frame=1 | access_process_vm 2 w mm=0; use_mm 3 w mm=0",
)
WORKLOADS_OF = {
    "thp": (
        "fault 0 w || madvise_dontneed 0-1; fault 0 w; zap 0 | change_prot_numa 0; fault 1 w; fork",
        "fault 3; madvise_dontneed 3 || fault 3 | collapse_file 3; fault 3 w | access_process_vm 3 mm=0",
    ),
    "mremap": (
        "fault 0 w || mremap 0-1; fault 1 w | user_write 0; swap_out; zap 0 | fork; exec",
        "fault 0 w; fault 3 w || mprotect 0-3; fault 0 | user_write 0; swap_out; fault 3",
    ),
}
"""What some designs have besides."""
MACHINE = {"anon": 2, "private_file": 1, "shared_file": 1, "mmu": True, "swap": 3}
RUNS = 6

EXCEPTIONS = {
    # The allocator, the LRU, the swap cache and the page cache stand for code whose own locks are not in question.
    "alloc_zeroed_page",
    "alloc_copy",
    "page_cache_release",
    "page_cache_release_old",
    "isolate_lru_page",
    "mark_page_accessed",
    "add_to_swap_cache",
    "swap_duplicate_entry",
    "swap_duplicate_slot",
    "swap_free_entry",
    "free_swap_and_cache",
    "swapin",
    "pageout",
    "filemap_nopage",
    "find_get_page",
    "truncate_complete_page",
    "if_swap_is_fast",
    "swapcache_prepare",
    "swapcache_clear",
    "swap_read_folio",
    "pte_alloc_one",
    "pte_free",
    "pte_alloc_prealloc",
    "pte_free_prealloc",
    "pte_alloc_deposit",
    "pte_free_deposit",
    "alloc_huge_page",
    "put_huge_page",
    "next_uptodate_page",
    # Page tables and huge pages are changed under page_table_lock, and nobody looks at the ptes below a huge page.
    "pte_alloc_map_child",
    "free_pte_range",
    "retract_page_table",
    # They look at what a kernel has promised, beside what they stand for.
    "ptep_get_lockless",
    "pte_free_defer",
    "page_add_new_anon_rmap",
    "set_huge_pmd",
    "pmd_modify",
    "zap_huge_pmd",
    "zap_deposited_table",
    "split_huge_pmd",
    "pmdp_invalidate",
    "set_pmd_protnone",
    # VMAs are changed with mmap_lock held for write and the lock of their tree.
    "copy_vma",
    "mmap_anew",
    "mm_init_vmas",
    "dup_mmap",
    "for_each_vma_range",
    "split_vma_new_unlocked",
    "split_vma_new_locked",
    "vma_iter_clear",
    "remove_mt",
    "mmap_region",
    "mas_find",
    "remove_vma",
    "unmap_old_vma",
    "set_vm_flags",
    "mk_file_pte_of_vma",
    # The VMA is held: its range stays.
    "if_in_range",
    # The RCU grace period.
    "call_rcu",
    # A look at what mprotect has promised.
    "is_unwritable",
    # A look at what MADV_DONTNEED has promised, which no kernel takes.
    "is_dropped",
    # The processor: an interrupt to all CPUs is done when it returns, and comes between no walk or store of one CPU.
    "try_to_unmap_flush",
    "is_unreachable",
    "walk_page_table",
    "user_store",
    # It holds the counter's lock from its beginning to its end.
    "percpu_counter_cpu_dead",
    "percpu_counter_destroy",
    "percpu_counters_destroy",
    # A new mm is not known to anybody but the one who made it, nor is a new task.
    "alloc_mm",
    "init_single",
    "percpu_counter_init",
    "percpu_counters_init",
    "init_tree",
    "dup_task_struct",
    "dup_task_struct_zeroed",
    "use_mm",
    # The list of tasks is changed under page_table_lock; walkers see the one store that links or unlinks.
    "list_add_rcu",
    "list_del_rcu",
    # They wait: looking whether the lock is free, and then taking it, is the lock's own business.
    "spin_lock",
    "spin_lock_child",
    "spin_lock_counter",
    "pte_lock",
    "pte_offset_map_lock",
    "pte_offset_map_lock_child",
    "down_read",
    "down_write",
    "down_write_queue",
    "alloc_task_struct",
    "down_read_trylock_vma",
    "down_write_vma",
    "refcount_inc_not_zero",
    "vma_mark_detached",
    # A loop of cmpxchg changes memory once, with its last turn.
    "set_64bit",
    "set_child_64bit",
    "get_task_mm",
    # The walk over the mms that may map a page (anon_vma and prio_tree), which has a lock of its own.
    "next_vma",
    "vma_interval_tree_foreach",
    # A flush reaches all CPUs and is done when it returns.
    "flush_tlb_page",
    "flush_tlb_mm",
    # PG_anon is set for good before anybody else can unmap the page.
    "page_add_anon_rmap",
    "can_share_page",
    # The user's store after the walk of the page table, which nobody else is to see in between.
    "user_access",
    # One half is written; the other is read for the counts of `account` alone, which the explorer does not keep.
    "ptep_clear_low",
    "ptep_xchg_low",
    "ptep_cmpxchg_low",
    "set_pte_high",
    "set_pte_low",
    "set_child_pte_high",
    "set_child_pte_low",
    "set_pte",
    "set_64bit_nolock",
    "get_64bit_nolock_write",
    "cmpxchg8b_nolock_write",
    "inc_child_rss",
    "inc_child_anon_rss",
}
"""Steps that touch more than one word, or one word more than once, by the reason why they may."""
PRIVATE_READS = {
    "file_rss_up",
    "file_rss_down",
    "old_file_rss_down",
    "child_file_rss_up",
    "mm_counter_file_up",
    "mm_counter_file_down",
    "old_mm_counter_file_down",
    "child_mm_counter_file_up",
    "rss_vec_down",
}
"""Private steps that read what cannot change meanwhile: whether a page that is held belongs to the file."""


class Watching(Player):
    """A player that notes for each step how many accesses it made beyond one."""

    def __init__(self, model, found):
        super().__init__(model)
        self.found = found

    def _take(self, function, m, r):
        recording = words.Recording(self.m)
        outcome = function(recording, r)
        name = info(function).name
        extra = extra_accesses(self, recording.accesses, r[R_CPU])
        self.found[name] = max(self.found[name], extra)
        assert not info(function).private or extra < 0 or name in PRIVATE_READS, f"private {name} touches memory"
        self.taken.append(Taken(function, outcome, (), frozenset(), frozenset()))
        self.registers = [r[i] for i in range(REGISTERS)]
        return outcome


def extra_accesses(player, step_accesses, cpu):
    """Accesses of one step beyond the first, to words that another CPU may touch at that time."""
    layout = player.model.layout
    reads, writes = defaultdict(int), defaultdict(int)
    for wrote, index, _ in step_accesses:
        name = layout.describe(index)
        task = player.model.workload.machine.task_depth
        own = name.startswith("task ") and int(name.split()[1]) // task == cpu and not name.endswith(("next", "prev"))
        if not (name.split()[0] in SHADOWS or own):
            (writes if wrote else reads)[index] += 1
    # An atomic operation is a read and a write of one word; a plain pair on one word counts as one here, too.
    return sum(max(reads[i], writes[i]) for i in {*reads, *writes}) - 1


def measure(design, arch):
    """Step name -> most accesses beyond one, over random schedules."""
    found = defaultdict(int)
    for text in (*WORKLOADS, *WORKLOADS_OF.get(design.name, ())):
        workload = Workload.parse(text, arch=arch, **MACHINE)
        model = build(design, workload)
        for seed in range(RUNS):
            chooser, player = random.Random(seed), Watching(model, found)
            cpus = list(range(len(workload.cpus)))
            while cpus:
                cpu = chooser.choice(cpus)
                row = player.move(cpu)
                if row is None:
                    cpus.remove(cpu)
                elif set(row.broken) - {"owner", "read_regular", "read_pair"}:
                    break
                else:
                    cpus = list(range(len(workload.cpus)))
    return found


@pytest.mark.parametrize("arch", ["64", "pae"])
@pytest.mark.parametrize("name", designs.names())
def test_a_step_makes_one_access_at_most(name, arch):
    found = measure(designs.get(name), arch)
    several = {step for step, extra in found.items() if extra > 0}
    assert several <= EXCEPTIONS
    assert len(found) > 40


def test_two_accesses_in_one_step_are_noticed():
    """`alloc_mm` and the like are seen: were an access not noted, nothing would be."""
    found = measure(designs.get("page_table_lock"), "64")
    assert found["alloc_zeroed_page"] > 1
    assert found["read_pte"] == found["inc_mm_rss"] == 0
