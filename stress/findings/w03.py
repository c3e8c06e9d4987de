"""W03: a count and the flag that says whether the stored sums are right, without a full barrier between them."""

from __future__ import annotations

from stress.designs.parts.correction import everywhere
from stress.findings.finding import Case, Finding
from stress.findings.measure_f07 import uptodate_flag
from stress.kernel.barriers import smp_mb
from stress.kernel.rss.uptodate import end_sum
from stress.operation import READS

FINDING = Finding(
    id="W03",
    title="a count is seen after the flag was looked at: the stored sums stay wrong",
    point=(
        "Where get_rss stores its sums and flags them as up to date (F07), a task that counts must clear the flag. It "
        "stores the count and then loads the flag: a store and a later load of another word, which x86 lets pass each "
        "other. "
        "Without a full barrier between them the flag is found clear, a reader sums what is in the memory and sets it, "
        "and only then the count arrives. The sums that are shown from then on lack it. This is the price of the flag: "
        "smp_mb in every fault."
    ),
    edit="no full barrier between a count and the look at the flag",
    as_posted=lambda d: d.edit(
        "W03 as posted",
        "",
        **everywhere(("fault", *(read for read in READS if read in d.programs)), lambda p: p.drop(smp_mb)),
    ),
    case=Case("fault 0 w | statm mm=0; statm mm=0"),
    check="rss_exact",
    memory="tso",
    sound=lambda: uptodate_flag(end_sum, "v12_uptodate"),
)
