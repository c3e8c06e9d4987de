"""Errors that a user can cause, each with the exit status that the command line gives it."""

from __future__ import annotations

from shm_layout.errors import PteStressError


class DesignBroken(PteStressError):
    """A design does wrong where it is only measured, not checked. Exit status 1, as for a check that is broken."""
