"""The state that a machine starts in: free frames, one mm with a task for each CPU."""

from __future__ import annotations

from itertools import pairwise

from shm_layout.layout import Layout
from shm_layout.registers import R_CPU, R_CURRENT, R_FRAME_END, R_FRAME_FIRST, R_FRAME_HAND, REGISTERS
from shm_layout.words import Words
from stress.kernel.mm_types import MM_EXITING, NO_MM
from stress.kernel.pgtable import PG_FREE, PG_RESERVED, ZERO_PAGE
from stress.kernel.vma import first_vmas


def boot(layout: Layout, m: Words) -> None:
    """Write the constants and the first state into memory that is all zero.

    All CPUs run on mm 0, each the first task of its stack; these tasks are on the mm's list. All other tasks have no
    mm: they have not begun.
    """
    page = layout.regions["page"]
    for frame in range(layout.machine.frames):
        m[page.index(frame, "flags")] = PG_FREE
    boot_tasks(layout, m)


def boot_tasks(layout: Layout, m: Words) -> None:
    """Do all of `boot` but the free frames, of which a big machine has too many to go through one by one."""
    machine = layout.machine
    layout.write_constants(m)
    layout.write_initial(m)
    if machine.mms == 0:
        return
    page = layout.regions["page"]
    m[page.index(ZERO_PAGE, "flags")] = PG_RESERVED
    m[page.index(ZERO_PAGE, "count")] = 1
    mm = layout.regions["mm_struct"]
    m[mm.index(0, "mm_users")] = MM_EXITING + machine.cpus
    m[mm.index(0, "single")] = int(machine.cpus == 1)
    task = layout.regions["task_struct"]
    tasks = [cpu * machine.task_depth for cpu in range(machine.cpus)]
    for not_begun in set(range(task.count)).difference(tasks):
        m[task.index(not_begun, "mm")] = NO_MM
    if machine.vm_areas:
        first_vmas(m, 0)
    m[mm.index(0, "task_list")] = tasks[0] + 1
    for before, after in pairwise(tasks):
        m[task.index(before, "next")] = after + 1
        m[task.index(after, "prev")] = before + 1


def boot_registers(layout: Layout, r: Words, cpu: int, sharers: int = 0) -> None:
    """Put the registers of a CPU at rest into an array of `REGISTERS` words.

    With ``sharers`` the frames are split into that many ranges, and the CPU allocates from its own first;
    with 0 it always takes the lowest free frame.
    """
    for i in range(REGISTERS):
        r[i] = 0
    r[R_CPU] = cpu
    r[R_CURRENT] = cpu * layout.machine.task_depth if layout.machine.mms else 0
    if sharers and layout.machine.frames:
        usable = layout.machine.frames - 1
        r[R_FRAME_FIRST] = 1 + usable * cpu // sharers
        r[R_FRAME_END] = 1 + usable * (cpu + 1) // sharers
        r[R_FRAME_HAND] = r[R_FRAME_FIRST]
