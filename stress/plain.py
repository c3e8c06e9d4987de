"""Old path of `stress.sequential`, kept for files of users."""

from stress.sequential import PlainMachine

__all__ = ["PlainMachine"]
