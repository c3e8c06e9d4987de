"""Designs that are broken on purpose."""

from collections.abc import Callable
from dataclasses import replace

from shm_layout.registers import R_ADDRESS, R_EXTRA
from shm_layout.structs import NR_CPUS, NR_PAGES
from stress import designs
from stress.design import Design
from stress.designs.page_table_lock import MM_COUNTER
from stress.designs.parts.operations import operations
from stress.designs.v12 import ACCESSES_OF_V12, lockfree_fault
from stress.kernel import pte_access, spinlock
from stress.kernel.exit import mmput
from stress.kernel.rmap import page_add_anon_rmap
from stress.machine_kind import WORDS
from stress.program import Program
from stress.step import NEXT, StepFunction, step


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


@step
def turns_round(m, r):
    """A step that never ends: a loop inside of it."""
    while m[NR_PAGES] > 0:
        r[R_EXTRA] = (r[R_EXTRA] * 3 + 1) % 1000
    return NEXT


def never_ends() -> Design:
    """Every fault that maps a page goes round in a step."""
    return designs.get("v12_sound").edit(
        name="never_ends", fault=lambda p: p.before(page_add_anon_rmap, turns_round)
    )


def turns_round_too(m):
    """A check that never ends."""
    i = 0
    while m[NR_CPUS] > 0:
        i = (i * 3 + m[NR_CPUS]) % 1000
    return -1


def on_words(name: str, *steps: StepFunction, checks: tuple[Callable[..., int], ...] = ()) -> Design:
    """A design with operation `count`, on words alone: it compiles in a second."""
    return Design(name, 2026, "made for the tests", "", {"count": Program(*steps)}, machine=WORDS, checks=checks)


def check_never_ends() -> Design:
    return on_words("check_never_ends", ends, checks=(turns_round_too,))


@step
def ends(m, r):
    """A step of one's own that ends."""
    r[R_EXTRA] = 1
    return NEXT


def own_step_ends() -> Design:
    return on_words("own_step_ends", ends)
