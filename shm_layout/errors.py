"""Errors that a user can cause, each with the exit status that the command line gives it."""

from __future__ import annotations


class PteStressError(Exception):
    """Base of the errors that are reported as one line on stderr, without a traceback."""

    exit_status = 1


class UsageError(PteStressError):
    """Wrong usage or input: the message says what is wrong and what to do. Exit status 2."""

    exit_status = 2


class MachineError(PteStressError):
    """What was asked for is fine, but this machine cannot do it. Exit status 3."""

    exit_status = 3
