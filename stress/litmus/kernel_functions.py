"""Functions of the kernel that C litmus tests call, and what each does to memory.

Sources: the kernel's tools/memory-model/linux-kernel.def and Documentation/atomic_t.txt. Under sc, tso and pso an
atomic operation is a full barrier whatever its suffix, as a locked instruction is: the suffixes allow more elsewhere.
"""

# ruff: noqa: SIM905

from __future__ import annotations

import re
from typing import NamedTuple

from stress.litmus.instructions import ADD, AND, OR, SUB, XOR

FULL_BARRIERS = frozenset(
    """
    smp_mb mb smp_mb__before_atomic smp_mb__after_atomic smp_mb__after_spinlock smp_mb__after_unlock_lock
    smp_mb__after_srcu_read_unlock
    """.split()
)
WRITE_BARRIERS = frozenset(["smp_wmb", "wmb"])
NO_BARRIERS = frozenset(
    """
    smp_rmb rmb barrier smp_read_barrier_depends read_barrier_depends smp_acquire__after_ctrl_dep
    """.split()
)
"""Nothing under sc, tso and pso, which keep loads in order."""

LOADS_OF_LVALUE = frozenset(["READ_ONCE", "rcu_dereference", "rcu_dereference_check", "rcu_access_pointer"])
LOADS_OF_POINTER = frozenset(["smp_load_acquire"])
STORES_TO_LVALUE = {"WRITE_ONCE": False, "rcu_assign_pointer": True}
"""Whether each is a release."""
STORES_TO_POINTER = {"smp_store_release": True}

_SUFFIX = "(?:_relaxed|_acquire|_release)?"
_KINDS = {"add": ADD, "sub": SUB, "and": AND, "or": OR, "xor": XOR, "andnot": AND, "inc": ADD, "dec": SUB}
_ONES = frozenset(("inc", "dec"))
_PLAIN = re.compile("atomic(?:64|_long)?_(add|sub|and|or|xor|andnot|inc|dec)$")
_RETURN = re.compile(f"atomic(?:64|_long)?_(add|sub|inc|dec)_return{_SUFFIX}$")
_FETCH = re.compile(f"atomic(?:64|_long)?_fetch_(add|sub|and|or|xor|andnot|inc|dec){_SUFFIX}$")
_TEST = re.compile("atomic(?:64|_long)?_(sub|inc|dec)_and_test$|atomic(?:64|_long)?_(add)_negative$")
_EXCHANGE = re.compile(f"(?:atomic(?:64|_long)?_)?xchg{_SUFFIX}$")
_COMPARE = re.compile(f"(?:atomic(?:64|_long)?_)?cmpxchg{_SUFFIX}$")
_READ = re.compile("atomic(?:64|_long)?_read(?:_acquire)?$")
_SET = re.compile("atomic(?:64|_long)?_set(?:_release)?$")
_UNLESS = re.compile("atomic(?:64|_long)?_(fetch_)?add_unless$|atomic(?:64|_long)?_(inc_not_zero)$")


class Atomic(NamedTuple):
    """An atomic operation: how it is called, and what it returns."""

    form: str
    """"read", "set", "xchg", "cmpxchg", "fetch", "unless" or "fetch_unless"."""
    kind: int = 0
    """The arithmetic of a fetch."""
    one: bool = False
    """It adds or subtracts 1: no value is given."""
    complement: bool = False
    """The value is complemented first (andnot)."""
    returns: str = "old"
    """"old", "new", "zero" (whether the new value is 0), "negative" or "" for nothing."""
    release: bool = False
    """A set that is a release."""


def atomic(name: str) -> Atomic | None:
    """Return the atomic operation of this name; None if there is none."""
    if _READ.match(name):
        return Atomic("read")
    if _SET.match(name):
        return Atomic("set", returns="", release=name.endswith("_release"))
    if _EXCHANGE.match(name):
        return Atomic("xchg")
    if _COMPARE.match(name):
        return Atomic("cmpxchg")
    if match := _UNLESS.match(name):
        return Atomic("fetch_unless" if match[1] else "unless", one=match[2] is not None)
    for pattern, returns in ((_PLAIN, ""), (_RETURN, "new"), (_FETCH, "old"), (_TEST, "")):
        if match := pattern.match(name):
            operation = match[1] or match[2]
            given = returns if pattern is not _TEST else "negative" if match[2] else "zero"
            return Atomic("fetch", _KINDS[operation], operation in _ONES, operation == "andnot", given)
    return None


_LOCKS = re.compile(r"(?:raw_)?spin_(lock|unlock)(?:_irq|_bh)?$")
_LOCKS_SAVE = re.compile(r"(?:raw_)?spin_(lock_irqsave|unlock_irqrestore)$")


def lock_call(name: str) -> tuple[str, int] | None:
    """Return what a function does to a spin lock ("lock", "unlock", "trylock", "is_locked"), and its arguments."""
    if match := _LOCKS.match(name):
        return match[1], 1
    if match := _LOCKS_SAVE.match(name):
        return match[1].split("_")[0], 2
    if name in ("spin_trylock", "raw_spin_trylock"):
        return "trylock", 1
    if name == "spin_is_locked":
        return "is_locked", 1
    return None


RCU = {
    "rcu_read_lock": "lock",
    "rcu_read_unlock": "unlock",
    "synchronize_rcu": "synchronize",
    "synchronize_rcu_expedited": "synchronize",
}
SRCU = {
    "srcu_read_lock": "lock",
    "srcu_read_unlock": "unlock",
    "synchronize_srcu": "synchronize",
    "synchronize_srcu_expedited": "synchronize",
}
TYPES = frozenset(
    """
    void int long short char unsigned signed volatile const struct bool _Bool size_t atomic_t atomic64_t
    atomic_long_t spinlock_t raw_spinlock_t intptr_t uintptr_t u8 u16 u32 u64 s8 s16 s32 s64 int8_t int16_t int32_t
    int64_t uint8_t uint16_t uint32_t uint64_t __rcu
    """.split()
)
LOCK_TYPES = frozenset(("spinlock_t", "raw_spinlock_t"))
NARROW = frozenset(
    """
    char short u8 u16 s8 s16 int8_t int16_t uint8_t uint16_t bool _Bool
    """.split()
)
"""Types whose values would have to be cut."""
