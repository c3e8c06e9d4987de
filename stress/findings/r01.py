"""R01: a precise sum misses a CPU that goes offline."""

from __future__ import annotations

from stress import designs
from stress.design import Design
from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import ZAPS
from stress.findings.finding import Case, Finding
from stress.kernel.cpu_hotplug import if_cpu_online, if_cpu_online_or_dying

SUMS = tuple(name for name in ZAPS if name != "zap")
"""Operations that make the precise sum: `precise`, and what may end an mm."""


def linux_6_8() -> Design:
    """The sound design of the findings R."""
    return designs.get("linux_6_8")


FINDING = Finding(
    id="R01",
    title="a precise sum misses a CPU that goes offline",
    point=(
        "A CPU that goes offline leaves the mask of online CPUs first, and a callback adds its counts to the central "
        "one later. A precise sum over the mask misses them in between, and check_mm finds an mm that ends with counts "
        "that are not 0. Shipped up to 6.3-rc; f689054aace2 (6.2) lets check_mm alone sum over all possible CPUs, and "
        "8b57b11cca88 lets every sum take the dying ones, too."
    ),
    edit="the sum takes the CPUs that are online alone",
    as_posted=lambda d: d.edit(
        "R01 as shipped", "", **everywhere(SUMS, lambda p: p.replace(if_cpu_online_or_dying, if_cpu_online))
    ),
    case=Case("fork; 1: access_process_vm 0 w mm=1 || exit | cpu_offline"),
    check="rss_exact",
    sound=linux_6_8,
    shipped=None,
)
