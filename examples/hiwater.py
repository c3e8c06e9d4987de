"""A field, steps and a check of one's own: the most pages that an mm ever had (VmHWM), here of mm 0.

RACY looks at the mark and writes it in two steps, so that a smaller mark can land on a larger one. RAISED writes it
only if nobody else has, and looks again otherwise.

    $ pte-stress explore hiwater.py:RACY "fault 0 w | fault 1 w"
    ...
    user: at rest: mark_is_high_enough 0
    ...
    complete: every state that can be reached was visited
    $ pte-stress explore hiwater.py:RAISED "fault 0 w | fault 1 w"
    ...
    complete: every state that can be reached was visited
"""

from dataclasses import replace

from shm_layout.atomic import cmpxchg, read_once, write_once
from shm_layout.registers import R_EXTRA, R_MM, R_VALUE
from shm_layout.structs import MM_RSS, at, mm_struct
from stress import NEXT, At, label, step
from stress.checks import HOLDS
from stress.designs import get
from stress.designs.parts.operations import FAULTS
from stress.kernel.rss.amount import rss_up
from stress.kernel.rss.atomic import atomic_add
from stress.labels import AGAIN

MM_HIWATER = mm_struct.word("hiwater_rss", "faults", "the most pages that rss ever was")
HIGH_ENOUGH = label("high_enough")


@step
def read_rss_now(m, r):
    """get_mm_rss(mm)."""
    r[R_VALUE] = read_once(m, at(m, MM_RSS, r[R_MM]))
    return NEXT


@step
def if_hiwater_lower(m, r):
    """if (mm->hiwater_rss < rss)."""
    r[R_EXTRA] = read_once(m, at(m, MM_HIWATER, r[R_MM]))
    return NEXT if r[R_EXTRA] < r[R_VALUE] else HIGH_ENOUGH


@step
def set_hiwater(m, r):
    """mm->hiwater_rss = rss."""
    write_once(m, at(m, MM_HIWATER, r[R_MM]), r[R_VALUE])
    return NEXT


@step
def raise_hiwater(m, r):
    """The same, if the mark is still what was read."""
    return NEXT if cmpxchg(m, at(m, MM_HIWATER, r[R_MM]), r[R_EXTRA], r[R_VALUE]) == r[R_EXTRA] else AGAIN


def mark_is_high_enough(m):
    """At rest: mm 0 has no more pages than its mark says."""
    return HOLDS if read_once(m, at(m, MM_HIWATER, 0)) >= read_once(m, at(m, MM_RSS, 0)) else 0


COUNT = (rss_up, atomic_add)
MARK = (read_rss_now, At(AGAIN), if_hiwater_lower, set_hiwater, At(HIGH_ENOUGH))
BASE = replace(get("atomic"), checks=(mark_is_high_enough,))
RACY = BASE.edit("hiwater", name="hiwater", **dict.fromkeys(FAULTS, lambda p: p.splice(COUNT, *COUNT, *MARK)))
RAISED = RACY.edit("raise", name="raised", **dict.fromkeys(FAULTS, lambda p: p.replace(set_hiwater, raise_hiwater)))
