"""rss and anon_rss of the mm changed by atomic add, on the fault path of v12_sound."""

from __future__ import annotations

from stress.designs.parts.counter import counter_that
from stress.designs.v12_sound import on_sound_path
from stress.kernel import proc
from stress.kernel.rss import mm as mm_rss
from stress.kernel.rss.atomic import atomic_add

READ_POSITIVE = (mm_rss.sum_mm_rss, proc.show_rss_positive)
STATM_POSITIVE = (mm_rss.sum_mm_rss, mm_rss.sum_mm_anon_rss, proc.show_statm_positive)
"""A page may be unmapped before the fault that mapped it has counted it: what is negative then is shown as 0."""

ATOMIC = counter_that((atomic_add,), statm=STATM_POSITIVE, status=READ_POSITIVE, stat=READ_POSITIVE)

DESIGN = on_sound_path(
    "atomic",
    2004,
    "proposed on linux-mm in 2004 beside the sloppy counters",
    "atomic adds on the mm, on the fault path of v12_sound",
    ATOMIC,
)
