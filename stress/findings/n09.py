"""N09: get_user_pages returns from between, and the counts that it put aside are lost."""

from __future__ import annotations

from stress import designs
from stress.design import Design
from stress.designs.parts.correction import Correction
from stress.findings.finding import Case, Finding
from stress.findings.n08 import aside
from stress.kernel.rss.saved import RESTORE, if_no_page, if_other_mm

ALWAYS = tuple(entry for entry in RESTORE if entry is not if_no_page)
"""What puts the counts back, whether the fault got its page or not."""

_AS_POSTED = Correction(
    "N09 as posted",
    "",
    {"access_process_vm": lambda p: p.splice(ALWAYS[:2], if_other_mm, if_no_page, ALWAYS[1])},
)


def _sound() -> Design:
    """v12_sound, with current's counts put aside as in N08 and always put back."""
    return aside(ALWAYS, "N08 as posted", designs.get("v12_sound"))


FINDING = Finding(
    id="N09",
    title="a fault for ptrace that fails loses the counts of current",
    point=(
        "Where handle_mm_fault reports SIGBUS or no memory, get_user_pages of V13 to V15 returns at once, from "
        "between: current's counts, which were put aside, stay 0 for good. Mend: put them back on this way, too."
    ),
    edit="get_user_pages returns before it puts the counts back, when the fault has found no page",
    as_posted=_AS_POSTED.apply,
    case=Case("fault 0 w; 1: fork || access_process_vm 1 w mm=1 | ", {"anon": 2, "frames": 2}),
    check="rss_exact",
    sound=_sound,
    shipped="v15_current",
)
