"""Linux 6.16: three kinds of page are counted per CPU, and statm and status show precise sums, stat what is central.

The kernel counts pages of files, anonymous pages and pages of shared memory apart (MM_SHMEMPAGES since 4.5), each in a
percpu_counter (6.2); rss is their sum. Since 82241a83cd15 (6.16) task_statm and task_mem read them with
percpu_counter_sum_positive; do_task_stat still reads what is central alone, so that its rss is off by what the CPUs
hold of each kind. `stress.live.reading.accounting` says the same of the kernel that command `live` runs on.

Faults, zaps and all else are those of `linux_6_8`. A zap adds up what it freed of each kind, and counts it as it ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stress.design import Bound
from stress.designs import linux_6_8
from stress.designs.parts.counter import Counter, Fragment
from stress.designs.parts.counter_checks import kinds_are_true
from stress.designs.parts.operations import ZAPS
from stress.designs.percpu import ADD, below_batch
from stress.kernel import cpu_hotplug, rmap
from stress.kernel.proc import show_rss_positive, show_statm_positive
from stress.kernel.rss import amount, kinds
from stress.labels import COUNTED, FILE_COUNTED, NEXT_PTE
from stress.program import At, Program

_FILE: Fragment = (*ADD, At(FILE_COUNTED))
_FREED: Fragment = (*ADD, At(COUNTED))
PRECISE: Fragment = (*linux_6_8.SUM, kinds.add_positive)
"""get_mm_counter_sum() of one kind."""
CENTRAL: Fragment = (kinds.percpu_counter_read, kinds.add_positive)
"""get_mm_counter() of one kind."""

STATM: Fragment = (
    kinds.no_sum,
    kinds.of_file,
    *PRECISE,
    kinds.of_shmem,
    *PRECISE,
    kinds.of_anon,
    *PRECISE,
    show_statm_positive,
)
STATUS: Fragment = (
    kinds.no_sum,
    kinds.of_anon,
    *PRECISE,
    kinds.of_file,
    *PRECISE,
    kinds.of_shmem,
    *PRECISE,
    show_rss_positive,
)
"""VmRSS, the sum of RssAnon, RssFile and RssShmem, which status shows as well."""
STAT: Fragment = (
    kinds.no_sum,
    kinds.of_file,
    *CENTRAL,
    kinds.of_anon,
    *CENTRAL,
    kinds.of_shmem,
    *CENTRAL,
    show_rss_positive,
)
"""get_mm_rss()."""

CHECK_MM: Fragment = (
    kinds.of_file,
    *linux_6_8.SUM,
    cpu_hotplug.check_mm,
    kinds.of_anon,
    *linux_6_8.SUM,
    cpu_hotplug.check_mm,
    kinds.of_shmem,
    *linux_6_8.SUM,
    cpu_hotplug.check_mm,
    kinds.percpu_counters_destroy,
)


def three_below_batch(cpus: int, threads: int, batch: int) -> int:
    """Return the pages that the CPUs may hold: of each of three kinds less than a batch."""
    return 3 * below_batch(cpus, threads, batch)


COUNTER = Counter(
    fault_rss=(kinds.mm_counter_file_up, *_FILE),
    fault_anon_rss=(amount.anon_rss_up, *ADD),
    inc_rss=(kinds.mm_counter_file_up, *_FILE),
    inc_anon_rss=(amount.anon_rss_up, *ADD),
    dec_rss=(kinds.mm_counter_file_down, *_FILE),
    dec_anon_rss=(amount.anon_rss_down, *ADD),
    zap_anon_rss=(),
    sub_freed=(kinds.file_freed, *_FREED, kinds.anon_freed, *_FREED, kinds.shmem_freed, *_FREED),
    unmap_old=(kinds.old_mm_counter_file_down, *_FILE),
    child_rss=(kinds.child_mm_counter_file_up, *_FILE),
    child_anon_rss=(amount.child_anon_rss_up, *ADD),
    mm_init=(kinds.percpu_counters_init,),
    statm=STATM,
    status=STATUS,
    stat=STAT,
    bound=Bound("3 * (batch - 1) * CPUs", three_below_batch),
)


def _zap(p: Program) -> Program:
    return p.before(At(NEXT_PTE), kinds.init_rss_vec).before(rmap.if_page_anon, kinds.rss_vec_down)


def _programs() -> Mapping[str, Program]:
    programs = linux_6_8.programs_of(COUNTER, CHECK_MM)
    for name in programs.keys() & {*ZAPS, "madvise_dontneed"}:
        programs[name] = _zap(programs[name])
    offline = programs["cpu_offline"].replace(cpu_hotplug.next_counter, kinds.next_counter)
    programs["cpu_offline"] = offline.after(cpu_hotplug.set_cpu_offline, kinds.first_counter)
    return programs


DESIGN = replace(
    linux_6_8.DESIGN,
    name="linux_6_16",
    year=2025,
    source="Linux 6.16, fs/proc/task_mmu.c, fs/proc/array.c, mm/memory.c, lib/percpu_counter.c",
    summary="counters of three kinds of page; statm and status show the precise sums, stat the approximate ones",
    programs=_programs(),
    counter=COUNTER,
    bound=COUNTER.bound,
    checks=(kinds_are_true,),
    exact_reads=("statm", "status"),
)
