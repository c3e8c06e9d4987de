"""Designs that are broken on purpose."""

from dataclasses import replace

from shm_layout.registers import R_ADDRESS
from stress import designs
from stress.design import Design
from stress.designs.build import operations
from stress.designs.page_table_lock import MM_COUNTER
from stress.designs.v12 import ACCESSES_OF_V12, lockfree_fault
from stress.kernel import pte_access, spinlock
from stress.kernel.exit import mmput
from stress.step import NEXT, step


def unlocked() -> Design:
    """V12's lock-free faults with mm->rss changed by a plain read and write: updates are lost."""
    fault = lockfree_fault(MM_COUNTER).replace(pte_access.PTEP_CMPXCHG_LOW, pte_access.PTEP_CMPXCHG)
    return Design("unlocked", 2004, "made for the tests", "", operations(fault, MM_COUNTER, ACCESSES_OF_V12))


def keeps_mmap_sem() -> Design:
    """A zap that never gives mmap_sem back: whoever comes next waits for ever."""
    return designs.get("v12_sound").edit(name="keeps_mmap_sem", zap=lambda p: p.drop(spinlock.up_write))


def no_page_is_free(m, w):
    """A check that a design brings along; it never holds."""
    return 7


def always_wrong() -> Design:
    return replace(designs.get("page_table_lock"), checks=(no_page_is_free,))


@step(private=True)
def from_page_0(m, r):
    """The walk begins at page 0, whether the mm has it or not."""
    r[R_ADDRESS] = 0
    return NEXT


def exits_from_page_0() -> Design:
    """The end of an mm walks over pages that a child may lack, and so over another's."""
    return designs.get("v12_sound").edit(name="exits_from_page_0", exit=lambda p: p.after(mmput, from_page_0))


@step
def raise_error(m, r):
    """What a step of one's own may do by mistake."""
    if r[R_ADDRESS] >= 0:
        raise ValueError("no reason")
    return NEXT


def raises() -> Design:
    """A read that raises an exception."""
    return designs.get("v12_sound").edit(name="raises", statm=lambda p: p.before(p[0], raise_error))


def ratio(m):
    """A check that divides by what is 0."""
    return -1 // (m[0] - m[0])


def divides_by_zero() -> Design:
    """Its check raises an exception."""
    return replace(designs.get("v12_sound"), name="divides_by_zero", checks=(ratio,))
