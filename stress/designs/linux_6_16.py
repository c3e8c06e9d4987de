"""Linux 6.16 counts as 6.8 does, and shows precise sums in statm and status, for which it goes to every CPU.

Since 82241a83cd15 (6.16) task_statm and task_mem read the counters with percpu_counter_sum_positive; do_task_stat
still reads what is central alone. So of three files that show the same number two are exact at rest, and one is off by
what the CPUs hold. `stress.live.reading.accounting` says the same of the kernel that command `live` runs on.

The kernel counts three kinds of page: anonymous ones, those of files, and those of shared memory. Here, as in all
designs but ptlock_split, rss and anon_rss are counted, and what is not anonymous is the difference.
"""

from __future__ import annotations

from dataclasses import replace

from stress.designs import linux_6_8
from stress.designs.parts.counter import Fragment
from stress.kernel.proc import show_rss_positive

STATUS: Fragment = (*linux_6_8.PRECISE[:-1], show_rss_positive)
"""The same sums as statm; status shows each counter and their sum, VmRSS."""

COUNTER = replace(linux_6_8.COUNTER, statm=linux_6_8.PRECISE, status=STATUS, precise=())

DESIGN = replace(
    linux_6_8.with_reads(COUNTER),
    name="linux_6_16",
    year=2025,
    source="Linux 6.16, fs/proc/task_mmu.c, fs/proc/array.c, lib/percpu_counter.c",
    summary="the counters of linux_6_8; statm and status show the precise sum, stat the approximate one",
    exact_reads=("statm", "status"),
)
