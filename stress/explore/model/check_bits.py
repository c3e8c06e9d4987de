"""What a transition or a state at rest breaks, as bits: one for each of `stress.checks.CHECKS`, in its order."""

from __future__ import annotations

from collections.abc import Iterable

from shm_layout.registers import R_OOPS
from shm_layout.words import Words
from stress.checks import CHECKS
from stress.kernel import bug
from stress.step import helper

NAMES = tuple(CHECKS)


def bit(check: str) -> int:
    """Return the bit of a check. Raises `ValueError` for a name that is none."""
    return 1 << NAMES.index(check)


def bits(checks: Iterable[str]) -> int:
    """Return the bits of these checks. Raises `ValueError` for a name that is none."""
    return sum(bit(check) for check in set(checks))


def names(bits: int) -> list[str]:
    """Return the checks that these bits stand for."""
    return [name for i, name in enumerate(NAMES) if bits >> i & 1]


RSS_EXACT = bit("rss_exact")
ANON_RSS_EXACT = bit("anon_rss_exact")
RSS_BOUNDED = bit("rss_bounded")
READ_REGULAR = bit("read_regular")
READ_PAIR = bit("read_pair")
MAPCOUNT = bit("mapcount")
PAGE_REFS = bit("page_refs")
PAGE_TABLES = bit("page_tables")
PFN_VALID = bit("pfn_valid")
DATA_KEPT = bit("data_kept")
MMU_CACHE = bit("mmu_cache")
OWNER = bit("owner")
PROGRESS = bit("progress")
USER = bit("user")

GOES_ON = bits(check.name for check in CHECKS.values() if check.goes_on)
"""A path goes on after these broke."""
_OOPS = tuple(check.oops for check in CHECKS.values())
"""By check: the bits of R_OOPS that break it."""


@helper
def wanted_of_step(bits: int, wanted: int) -> int:
    """Return the checks that a step breaks and that are reported: those asked for, and those that end the path.

    Nothing after the end of a path is looked at. Who asks for one check alone must not take that for its holding.
    """
    return bits & (wanted | ~GOES_ON)


@helper
def wanted_at_rest(bits: int, wanted: int) -> int:
    """Return the same for a state at rest: where a lock is kept, no counter and no check of the design's own counts."""
    return bits & (wanted | PROGRESS)


@helper
def oops_bits(r: Words) -> int:
    """Return the checks that the steps of a CPU saw broken. A count on a wrong task is forgotten once reported."""
    seen = r[R_OOPS]
    bits = 0
    for i in range(len(_OOPS)):
        if seen & _OOPS[i]:
            bits |= 1 << i
    if seen & bug.OWNER:
        r[R_OOPS] = seen & ~bug.OWNER
    return bits
