"""Barriers (include/asm/system.h), as entries of programs where the kernel has one, so that an edit can leave it out.

They touch registers alone, so that they add no state under sc, where they do nothing. Under a weaker memory model
the explorer makes `smp_mb` wait for the CPU's store buffer, and keeps stores apart that `smp_wmb` stands between.
"""

from __future__ import annotations

from shm_layout import atomic
from shm_layout.words import Words
from stress.program import ByArch, Entry, Program
from stress.step import NEXT, step


@step(private=True)
def smp_mb(m: Words, r: Words) -> int:
    """smp_mb(): what comes before it is seen before what comes after it."""
    atomic.smp_mb(m)
    return NEXT


@step(private=True)
def smp_wmb(m: Words, r: Words) -> int:
    """smp_wmb(): stores before it are seen before stores after it."""
    atomic.smp_wmb(m)
    return NEXT


@step(private=True)
def smp_rmb(m: Words, r: Words) -> int:
    """smp_rmb(): loads before it are done before loads after it."""
    atomic.smp_rmb(m)
    return NEXT


BARRIERS = (smp_mb, smp_wmb, smp_rmb)


def without_barriers(program: Program) -> Program:
    """Return a program without its barriers: what it is under sc."""
    return Program(*(_without(entry) for entry in program if entry not in BARRIERS))


def _without(entry: Entry) -> Entry:
    if not isinstance(entry, ByArch):
        return entry
    steps = (tuple(each for each in arch if each not in BARRIERS) for arch in (entry.arch_64, entry.arch_pae))
    return ByArch(entry.name, *steps)
