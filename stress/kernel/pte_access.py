"""Reading and writing a pte (include/asm-i386/pgtable-2level.h and pgtable-3level.h).

An access is one step on arch=64 and one or several on arch=pae, so a program names it as a `ByArch`. Steps
act on the pte of virtual page R_ADDRESS of mm R_MM; what is read goes to R_ENTRY, what is written comes from
R_NEW. `stress.designs.v12` and `stress.designs.v12_reviewed` say which design uses which.
"""

from __future__ import annotations

from shm_layout.atomic import (
    cmpxchg,
    cmpxchg_half,
    load,
    read_half,
    read_once,
    store,
    write_half,
    xchg,
    xchg_half,
)
from shm_layout.registers import R_ADDRESS, R_ENTRY, R_MM, R_NEW, R_SCRATCH
from shm_layout.words import Words
from stress.kernel.account import NO_PAGE, before, half_before, note, pte_kind
from stress.kernel.barriers import smp_wmb
from stress.kernel.pgtable import LOW, pte_at
from stress.labels import RACED, STALE
from stress.program import ByArch
from stress.step import NEXT, helper, step


@helper
def this_pte(m: Words, r: Words) -> int:
    """Return the index of the pte that the operation is at."""
    return pte_at(m, r[R_MM], r[R_ADDRESS])


@helper
def high_half(entry: int) -> int:
    """Upper 32 bits of an entry."""
    return (entry >> 32) & LOW


# entry = *pte


@step
def read_pte(m: Words, r: Words) -> int:
    """entry = *pte, in one load."""
    r[R_ENTRY] = load(m, this_pte(m, r))
    return NEXT


@step
def read_pte_low(m: Words, r: Words) -> int:
    """entry = *pte on PAE, first load: the low half."""
    r[R_ENTRY] = read_half(m, this_pte(m, r), 0)
    return NEXT


@step
def read_pte_high(m: Words, r: Words) -> int:
    """entry = *pte on PAE, second load: the high half."""
    r[R_ENTRY] = r[R_ENTRY] | (read_half(m, this_pte(m, r), 1) << 32)
    return NEXT


@step
def get_64bit(m: Words, r: Words) -> int:
    """entry = get_64bit(pte): a locked cmpxchg8b that changes nothing."""
    r[R_ENTRY] = cmpxchg(m, this_pte(m, r), 0, 0)
    return NEXT


@step
def get_64bit_nolock_read(m: Words, r: Words) -> int:
    """get_64bit without the lock prefix, first half: cmpxchg8b reads."""
    r[R_ENTRY] = read_once(m, this_pte(m, r))
    return NEXT


@step
def get_64bit_nolock_write(m: Words, r: Words) -> int:
    """get_64bit without the lock prefix, second half: cmpxchg8b writes back what it read."""
    pte = this_pte(m, r)
    note(m, r, r[R_MM], before(m, r, pte), r[R_ENTRY], pte_kind(m, r, r[R_ENTRY]))
    store(m, pte, r[R_ENTRY])
    return NEXT


# set_pte


@step
def set_pte(m: Words, r: Words) -> int:
    """set_pte(pte, new), in one store."""
    pte = this_pte(m, r)
    note(m, r, r[R_MM], before(m, r, pte), r[R_NEW], pte_kind(m, r, r[R_NEW]))
    store(m, pte, r[R_NEW])
    return NEXT


@step
def set_pte_high(m: Words, r: Words) -> int:
    """set_pte on PAE, first store: the high half. A present entry names another frame until the second store."""
    pte = this_pte(m, r)
    low = half_before(m, r, pte, 0)
    new = (high_half(r[R_NEW]) << 32) | low
    note(m, r, r[R_MM], (half_before(m, r, pte, 1) << 32) | low, new, pte_kind(m, r, new))
    write_half(m, pte, 1, high_half(r[R_NEW]))
    return NEXT


@step
def set_pte_low(m: Words, r: Words) -> int:
    """set_pte on PAE, second store, after a write barrier: the low half."""
    pte = this_pte(m, r)
    high = half_before(m, r, pte, 1) << 32
    new = high | (r[R_NEW] & LOW)
    note(m, r, r[R_MM], high | half_before(m, r, pte, 0), new, pte_kind(m, r, new))
    write_half(m, pte, 0, r[R_NEW] & LOW)
    return NEXT


@step
def set_64bit(m: Words, r: Words) -> int:
    """set_64bit(pte, new): a loop of locked cmpxchg8b."""
    pte = this_pte(m, r)
    kind = pte_kind(m, r, r[R_NEW])
    expected = read_once(m, pte)
    found = cmpxchg(m, pte, expected, r[R_NEW])
    while found != expected:
        expected = found
        found = cmpxchg(m, pte, expected, r[R_NEW])
    note(m, r, r[R_MM], expected, r[R_NEW], kind)
    return NEXT


# ptep_cmpxchg: on failure the program goes to `raced`


@step
def ptep_cmpxchg(m: Words, r: Words) -> int:
    """ptep_cmpxchg(pte, entry, new) over the whole entry."""
    kind = pte_kind(m, r, r[R_NEW])
    if cmpxchg(m, this_pte(m, r), r[R_ENTRY], r[R_NEW]) != r[R_ENTRY]:
        return RACED
    note(m, r, r[R_MM], r[R_ENTRY], r[R_NEW], kind)
    return NEXT


@step
def ptep_cmpxchg_low(m: Words, r: Words) -> int:
    """ptep_cmpxchg of V12 on PAE: cmpxchg of the low halves, its result compared with the whole old entry."""
    pte = this_pte(m, r)
    high = half_before(m, r, pte, 1) << 32
    new = high | (r[R_NEW] & LOW)
    kind = pte_kind(m, r, new)
    found = cmpxchg_half(m, pte, 0, r[R_ENTRY] & LOW, r[R_NEW] & LOW)
    if found == r[R_ENTRY] & LOW:
        note(m, r, r[R_MM], high | found, new, kind)
    return NEXT if found == r[R_ENTRY] else RACED


@step
def cmpxchg8b_nolock_read(m: Words, r: Words) -> int:
    """cmpxchg8b without the lock prefix, first half: it reads the entry."""
    r[R_SCRATCH] = read_once(m, this_pte(m, r))
    return NEXT


@step
def cmpxchg8b_nolock_write(m: Words, r: Words) -> int:
    """cmpxchg8b without the lock prefix, second half: new if the entry read was the old one, else it again."""
    pte = this_pte(m, r)
    same = r[R_SCRATCH] == r[R_ENTRY]
    value = r[R_NEW] if same else r[R_SCRATCH]
    note(m, r, r[R_MM], before(m, r, pte), value, pte_kind(m, r, value))
    store(m, pte, value)
    return NEXT if same else RACED


@step
def set_64bit_nolock(m: Words, r: Words) -> int:
    """set_64bit without the lock prefix: the last cmpxchg8b of its loop writes, whatever is there by then."""
    pte = this_pte(m, r)
    note(m, r, r[R_MM], before(m, r, pte), r[R_NEW], pte_kind(m, r, r[R_NEW]))
    store(m, pte, r[R_NEW])
    return NEXT


# ptep_get_and_clear, ptep_xchg_flush


@step
def ptep_get_and_clear(m: Words, r: Words) -> int:
    """entry = ptep_get_and_clear(pte), in one atomic exchange."""
    r[R_ENTRY] = xchg(m, this_pte(m, r), 0)
    note(m, r, r[R_MM], r[R_ENTRY], 0, NO_PAGE)
    return NEXT


@step
def ptep_clear_low(m: Words, r: Words) -> int:
    """ptep_get_and_clear in halves, first: exchange the low half for 0."""
    pte = this_pte(m, r)
    high = half_before(m, r, pte, 1) << 32
    r[R_ENTRY] = xchg_half(m, pte, 0, 0)
    note(m, r, r[R_MM], high | r[R_ENTRY], 0, NO_PAGE)
    return NEXT


@step
def ptep_clear_high(m: Words, r: Words) -> int:
    """ptep_get_and_clear in halves, third: the high half becomes 0."""
    write_half(m, this_pte(m, r), 1, 0)
    return NEXT


@step
def ptep_xchg(m: Words, r: Words) -> int:
    """entry = ptep_xchg_flush(pte, new), in one exchange; the flush is a step of its own."""
    kind = pte_kind(m, r, r[R_NEW])
    r[R_ENTRY] = xchg(m, this_pte(m, r), r[R_NEW])
    note(m, r, r[R_MM], r[R_ENTRY], r[R_NEW], kind)
    return NEXT


@step
def ptep_xchg_low(m: Words, r: Words) -> int:
    """ptep_xchg_flush of V12 on PAE, first: exchange the low half."""
    pte = this_pte(m, r)
    high = half_before(m, r, pte, 1) << 32
    new = high | (r[R_NEW] & LOW)
    kind = pte_kind(m, r, new)
    r[R_ENTRY] = xchg_half(m, pte, 0, r[R_NEW] & LOW)
    note(m, r, r[R_MM], high | r[R_ENTRY], new, kind)
    return NEXT


# rechecks under the lock


@step
def recheck_none(m: Words, r: Words) -> int:
    """if (!pte_none(*pte)) goto raced."""
    return NEXT if load(m, this_pte(m, r)) == 0 else RACED


@step
def recheck_none_low(m: Words, r: Words) -> int:
    """pte_none on PAE, low half."""
    return NEXT if read_half(m, this_pte(m, r), 0) == 0 else RACED


@step
def recheck_none_high(m: Words, r: Words) -> int:
    """pte_none on PAE, high half."""
    return NEXT if read_half(m, this_pte(m, r), 1) == 0 else RACED


@step
def recheck_same(m: Words, r: Words) -> int:
    """if (!pte_same(*pte, entry)) goto raced."""
    return NEXT if load(m, this_pte(m, r)) == r[R_ENTRY] else RACED


@step
def recheck_same_low(m: Words, r: Words) -> int:
    """pte_same on PAE, low half."""
    return NEXT if read_half(m, this_pte(m, r), 0) == r[R_ENTRY] & LOW else RACED


@step
def recheck_same_high(m: Words, r: Words) -> int:
    """pte_same on PAE, high half."""
    return NEXT if read_half(m, this_pte(m, r), 1) == high_half(r[R_ENTRY]) else RACED


@step
def recheck_new(m: Words, r: Words) -> int:
    """if (!pte_same(*pte, new)) goto stale: is what was set without the lock still there?"""
    return NEXT if load(m, this_pte(m, r)) == r[R_NEW] else STALE


@step
def recheck_new_low(m: Words, r: Words) -> int:
    """The same on PAE, low half."""
    return NEXT if read_half(m, this_pte(m, r), 0) == r[R_NEW] & LOW else STALE


@step
def recheck_new_high(m: Words, r: Words) -> int:
    """The same on PAE, high half."""
    return NEXT if read_half(m, this_pte(m, r), 1) == high_half(r[R_NEW]) else STALE


READ_PTE = ByArch("read_pte", (read_pte,), (read_pte_low, read_pte_high))
GET_PTE_ATOMIC = ByArch("get_pte_atomic", (read_pte,), (get_64bit,))
SET_PTE = ByArch("set_pte", (set_pte,), (set_pte_high, smp_wmb, set_pte_low))
SET_PTE_UNORDERED = ByArch("set_pte_unordered", (set_pte,), (set_pte_high, set_pte_low))
"""set_pte on PAE without the write barrier between its stores: right where stores stay in order (finding W01)."""
SET_PTE_LOW_FIRST = ByArch("set_pte_low_first", (set_pte,), (set_pte_low, set_pte_high))
"""The same assignment of a 64-bit variable, as another compiler makes two stores of it (V13)."""
SET_PTE_ATOMIC = ByArch("set_pte_atomic", (set_pte,), (set_64bit,))
PTEP_CMPXCHG_LOW = ByArch("ptep_cmpxchg_low", (ptep_cmpxchg,), (ptep_cmpxchg_low,))
PTEP_CMPXCHG = ByArch("ptep_cmpxchg", (ptep_cmpxchg,), (ptep_cmpxchg,))
PTEP_GET_AND_CLEAR = ByArch("ptep_get_and_clear", (ptep_get_and_clear,), (ptep_get_and_clear,))
PTEP_GET_AND_CLEAR_PLAIN = ByArch(
    "ptep_get_and_clear_plain", (ptep_get_and_clear,), (ptep_clear_low, read_pte_high, ptep_clear_high)
)
PTEP_XCHG_FLUSH = ByArch("ptep_xchg_flush", (ptep_xchg,), (ptep_xchg,))
PTEP_XCHG_FLUSH_LOW = ByArch("ptep_xchg_flush_low", (ptep_xchg,), (ptep_xchg_low, read_pte_high, set_pte_high))
PTE_NONE = ByArch("pte_none", (recheck_none,), (recheck_none_low, recheck_none_high))
PTE_STILL_NEW = ByArch("pte_still_new", (recheck_new,), (recheck_new_low, recheck_new_high))
PTE_SAME = ByArch("pte_same", (recheck_same,), (recheck_same_low, recheck_same_high))
# what a kernel built for one CPU makes of the cmpxchg8b family: no lock prefix (finding F15)
GET_PTE_NOLOCK = ByArch("get_pte_nolock", (read_pte,), (get_64bit_nolock_read, get_64bit_nolock_write))
SET_PTE_NOLOCK = ByArch("set_pte_nolock", (set_pte,), (set_64bit_nolock,))
PTEP_CMPXCHG_NOLOCK = ByArch("ptep_cmpxchg_nolock", (ptep_cmpxchg,), (cmpxchg8b_nolock_read, cmpxchg8b_nolock_write))
