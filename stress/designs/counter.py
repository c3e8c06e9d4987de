"""Old path of `stress.designs.parts.counter`, kept for files of users."""

from stress.designs.parts.counter import Counter, Fragment, counter_that

__all__ = ["Counter", "Fragment", "counter_that"]
