"""v12_reviewed with every further correction that was found to be needed for all checks to hold."""

from __future__ import annotations

from dataclasses import replace

from stress.design import Design
from stress.designs.parts.correction import Correction, corrected, everywhere
from stress.designs.parts.counter import Counter
from stress.designs.parts.operations import FAULTS, operations
from stress.designs.v12 import ACCESSES_OF_V12, lockfree_fault
from stress.designs.v12_reviewed import CORRECTIONS as CORRECTIONS_OF_REVIEW
from stress.designs.v12_reviewed import DESIGN as V12_REVIEWED
from stress.designs.v12_reviewed import F01, F10, F11, F13, F16, SINGLE_PASS
from stress.kernel import exit as exit_
from stress.kernel import fork, memory, pte_access, spinlock
from stress.kernel.rss import mm as mm_rss
from stress.kernel.rss import task as task_rss
from stress.labels import DO_WP_PAGE, NEXT_TASK, SKIP
from stress.program import At, Program

GET_RSS_LOCKED = Program(
    spinlock.spin_lock,
    mm_rss.sum_mm_rss,
    mm_rss.sum_mm_anon_rss,
    task_rss.first_task,
    At(NEXT_TASK),
    task_rss.add_task_rss,
    task_rss.add_task_anon_rss,
    task_rss.next_task,
    At(SKIP),
    spinlock.spin_unlock,
)
"""The single pass under page_table_lock, so that no task folds its counts into the mm meanwhile."""

START = Correction(
    "start_at_zero",
    "a started task copies anon_rss from the one that starts it, and it is summed twice; set it to 0 like rss",
    everywhere(("clone", "fork"), lambda p: p.replace(fork.dup_task_struct, fork.dup_task_struct_zeroed)),
)
EXEC = Correction(
    "exec_at_zero",
    "exec folds a task's counts into the old mm and takes them along to the new one; set them to 0 in between",
    {"exec": lambda p: p.after(exit_.activate_mm, exit_.ZERO_TASK_COUNTS)},
)
WP = Correction(
    "wp_recheck",
    "do_wp_page acts on an entry read before the lock; recheck it under the lock, after its pfn_valid",
    everywhere(FAULTS, lambda p: p.after(memory.wp_pfn_valid, pte_access.PTE_SAME, within=DO_WP_PAGE)),
)
XCHG = Correction(
    "xchg_whole",
    "ptep_xchg_flush on PAE shows an entry of two unrelated halves for a moment; exchange it whole",
    {"swap_out": lambda p: p.replace(pte_access.PTEP_XCHG_FLUSH_LOW, pte_access.PTEP_XCHG_FLUSH)},
)
READ = Correction(
    "read_locked",
    "a task that leaves between the read of the mm and its place on the list is missed; sum under page_table_lock",
    everywhere(("statm", "status", "stat"), lambda p: p.splice(tuple(SINGLE_PASS), GET_RSS_LOCKED)),
)

FURTHER: tuple[Correction, ...] = (START, EXEC, WP, XCHG, READ)
"""What the review does not ask for and is needed as well."""

CORRECTIONS: tuple[Correction, ...] = (*CORRECTIONS_OF_REVIEW, *FURTHER)
"""All that makes V12 sound, in the order in which it is applied: one may be left out."""

FAULT_PATH: tuple[Correction, ...] = (F01, F10, F11, F13, F16, WP, XCHG)
"""Those that concern the fault path, whatever counts in it; the others concern list_rss."""

DESIGN: Design = replace(
    corrected(V12_REVIEWED, "v12_sound", FURTHER),
    summary="V12 with all that it needs: holds every check in every interleaving of the workloads of `review`",
)


def on_sound_path(name: str, year: int, source: str, summary: str, counter: Counter) -> Design:
    """Return the design that counts in this way on the fault path of v12_sound."""
    posted = Design(
        name=name,
        year=year,
        source=source,
        summary=summary,
        programs=operations(lockfree_fault(counter), counter, ACCESSES_OF_V12),
        bound=counter.bound,
        checks=counter.checks,
        counter=counter,
    )
    design = posted
    for correction in FAULT_PATH:
        design = correction.apply(design)
    return design
