"""Work that a worker does where a kernel does it: entering and leaving a fault, clearing or copying a real page.

The modelled machine has no pages of 4 KiB. So that a fault costs what a fault costs, a worker clears pages of a pool of
its own, one after another, and spends the time of entry and exit. Explore and the setup do nothing there.
Importing this module imports numba.
"""

from __future__ import annotations

from shm_layout.structs import WORK_BYTES, WORK_POOL, WORK_TICKS
from shm_layout.words import Words
from stress.compiling.private_work import spend, touch_page
from stress.design import Design
from stress.kernel.page_alloc import alloc_copy, alloc_zeroed_page
from stress.program import Program
from stress.step import NEXT, step


@step(private=True)
def enter_and_leave(m: Words, r: Words) -> int:
    """What a fault costs besides its page: the trap, the walk to the pte, and the way back."""
    spend(m[WORK_TICKS])
    return NEXT


@step(private=True)
def clear_page(m: Words, r: Words) -> int:
    """clear_user_highpage(page)."""
    touch_page(m[WORK_BYTES], m[WORK_POOL], 0)
    return NEXT


@step(private=True)
def copy_page(m: Words, r: Words) -> int:
    """copy_user_highpage(page, old_page)."""
    touch_page(m[WORK_BYTES], m[WORK_POOL], 1)
    return NEXT


def working(design: Design, *, traps: bool) -> Design:
    """The design whose faults clear and copy pages, and with ``traps`` enter and leave the kernel, too."""
    fault = design.programs["fault"]
    for page, work in ((alloc_zeroed_page, clear_page), (alloc_copy, copy_page)):
        if page in fault:
            fault = fault.after(page, work)
    if traps:
        fault = Program(enter_and_leave, fault)
    return design.with_programs(fault=fault)
