"""Random numbers in compiled loops."""

from __future__ import annotations

from stress.step import helper


@helper
def rand(x: int) -> int:
    """Return the next number: xorshift64 (Marsaglia, 2003), shifts 13, 7, 17. Never 0, unless the first one is."""
    x ^= x << 13
    x ^= (x >> 7) & 0x01FF_FFFF_FFFF_FFFF
    x ^= x << 17
    return x


@helper
def draw(x: int, below: int) -> int:
    """Return a number from 0 to below - 1 (below at most 2**31) out of the upper half of a random number."""
    return (((x >> 32) & 0xFFFF_FFFF) * below) >> 32
