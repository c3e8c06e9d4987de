"""Old path of `stress.explore.counterexample.trace`, kept for files of users."""

from stress.explore.counterexample.trace import (
    ENDLESS_STATES,
    ENDLESS_WORDS,
    Player,
    Row,
    Trace,
    check_raised,
    table,
    trace,
)

__all__ = ["ENDLESS_STATES", "ENDLESS_WORDS", "Player", "Row", "Trace", "check_raised", "table", "trace"]
