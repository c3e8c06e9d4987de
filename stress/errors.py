"""An error of designs; the errors of `shm_layout.errors` are offered here, too, for files of users."""

from __future__ import annotations

from shm_layout.errors import MachineError, PteStressError, UsageError

__all__ = ["DesignBroken", "MachineError", "PteStressError", "UsageError"]


class DesignBroken(PteStressError):
    """A design does wrong where it is only measured, not checked. Exit status 1, as for a check that is broken."""
