"""What of this machine is unlike the one that the program was made on: a 64-bit x86 with cache lines of 64 bytes."""

from __future__ import annotations

import os
import platform
from pathlib import Path

X86 = frozenset({"x86_64", "AMD64", "i686"})
LINE = Path("/sys/devices/system/cpu/cpu0/cache/index0/coherency_line_size")
LINE_BYTES = 64
"""Bytes of a cache line that placements are made for."""


def line_bytes() -> int | None:
    """Bytes of a cache line of the first CPU, None where the kernel does not say."""
    try:
        return int(LINE.read_text())
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_LEVEL1_DCACHE_LINESIZE") or None
    except (OSError, ValueError):
        return None


def machine_notes() -> list[str]:
    """What is different here, a sentence each; none on the machine that the program was made on."""
    notes = []
    arch, line = platform.machine(), line_bytes()
    if arch not in X86:
        notes.append(
            f"this machine is {arch}: times of single operations are not taken, and nothing here was measured on one"
            " (docs/limits.md)"
        )
    if line is not None and line > LINE_BYTES:
        notes.append(
            f"cache lines have {line} bytes here, and placements are made for {LINE_BYTES}: fields that are meant to"
            " lie apart may share one"
        )
    return notes
