"""Old path of `stress.designs.parts.operations`, kept for files of users."""

from stress.designs.parts.operations import (
    FAULT_BEGIN,
    FAULT_END,
    Accesses,
    clear_pte,
    fork_,
    operations,
    put_mm,
    swap_out,
    truncate,
    unmap_one,
    zap_range,
)

__all__ = [
    "FAULT_BEGIN",
    "FAULT_END",
    "Accesses",
    "clear_pte",
    "fork_",
    "operations",
    "put_mm",
    "swap_out",
    "truncate",
    "unmap_one",
    "zap_range",
]
