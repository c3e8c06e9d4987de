"""F16: what atomic set_pte costs fork and zap on PAE, where it is not needed."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from shm_layout.machine import Machine
from stress import designs, findings
from stress.design import Design
from stress.designs.parts.correction import corrected
from stress.designs.v12 import DESIGN as V12
from stress.designs.v12_sound import CORRECTIONS
from stress.findings.measurement import Measured, Measurement
from stress.findings.simulated import MACHINES
from stress.report.spread import Spread

PAGES = 1 << 14
"""Pages that are copied and zapped."""
FORKS = 4
"""Children that are forked one after the other and exit."""
TURNS = 20
PUBLISHED = "5 to 20 % (fork, exec and shell rows of lmbench, published 2004)"
WORKLOADS = (
    "fault 0 w; fault 1 w || fork 0-1; fault 0 w | swap_out frame=1",
    "fault 0 w; fault 1 w || zap 0-1 | swap_out frame=1 | fault 2 w",
    "fault 0 w; fork || fault 1 w; exit | swap_out frame=1",
)
"""Fork-copy, munmap and exit while pages are swapped out and others fault."""


def all_atomic() -> Design:
    """Return v12_sound with every set_pte and every clearing of a pte atomic, as posted."""
    return corrected(V12, "v12_sound_f16", [c for c in CORRECTIONS if c.name != "F16"])


def _times(effort: float) -> dict[str, dict[str, Spread]]:
    """Return the nanoseconds a page for fork-copy and for zap, by design, in turns."""
    from time import perf_counter_ns

    from stress.workers.fault_kinds import TOUCH, touching
    from stress.workers.pool import Pool
    from stress.workers.records import Call
    from stress.workers.server.client import ForkServer

    machine = Machine(cpus=1, mms=2, anon=PAGES, frames=PAGES + 64, arch="pae", task_depth=2)
    chosen = {"plain": designs.get("v12_sound"), "atomic": all_atomic()}
    touch, fork, end = Call(TOUCH, 0, PAGES, True), Call("fork", 0, PAGES), Call("exit")
    scripts = {"fork-copy": [fork, end] * FORKS, "zap": [Call("zap", 0, PAGES)]}
    found: dict[str, dict[str, list[float]]] = {name: {what: [] for what in scripts} for name in chosen}
    with ForkServer(lambda: None) as server, ExitStack() as stack:
        pools = {
            name: stack.enter_context(
                Pool(
                    touching(design),
                    machine,
                    1,
                    operations=[TOUCH, "fork", "exit", "zap"],
                    server=server,
                    judge=False,
                )
            )
            for name, design in chosen.items()
        }
        for turn in range(max(int(TURNS * effort), 5)):
            for name, pool in pools.items():
                pool.perform({0: [touch]})
                for what, calls in scripts.items():
                    began = perf_counter_ns()
                    pool.perform({0: calls})
                    if turn:  # the first one warms up
                        pages = PAGES * (FORKS if what == "fork-copy" else 1)
                        found[name][what].append((perf_counter_ns() - began) / pages)
    return {name: {what: Spread.of(times) for what, times in both.items()} for name, both in found.items()}


COPIED = 256
"""Pages of the machine whose accesses are counted."""


def _counted() -> list[dict[str, Any]]:
    """Return what the accesses of fork-copy and zap cost on machines that are not at hand, where nobody else is."""
    from stress.scale.alone import Accesses, accesses_alone
    from stress.scale.machine import get_machine

    machine = Machine(cpus=1, mms=2, anon=COPIED, frames=2 * COPIED + 64, arch="pae", task_depth=2)
    touched = [("fault", page, 0) for page in range(COPIED)]
    operations = {"fork-copy": [("fork", 0, COPIED), ("exit", 0, 0)], "zap": [("zap", 0, COPIED)]}
    found: dict[str, tuple[Accesses, Accesses]] = {}
    for what, calls in operations.items():
        plain, atomic = (
            accesses_alone(design, machine, touched, calls) for design in (designs.get("v12_sound"), all_atomic())
        )
        found[what] = plain, atomic
    rows = []
    for name in MACHINES:
        line = get_machine(name).line
        for what, (plain, atomic) in found.items():
            each, other = plain.ns(line) / COPIED, atomic.ns(line) / COPIED
            rows.append(
                {
                    "operation": what,
                    "machine": name,
                    "plain, ns/page": round(each, 1),
                    "atomic, ns/page": round(other, 1),
                    "slower": f"{100 * (other / each - 1):+.0f} %",
                    "atomics more, a page": round((atomic.atomic - plain.atomic) / COPIED, 2),
                }
            )
    return rows


def measure(effort: float, seed: int) -> Measured:
    """Plain and atomic side by side, and the explorer's word on where plain is safe."""
    from stress.explore import Bounds, explore
    from stress.workload import Workload

    times = _times(effort)
    rows: list[dict[str, Any]] = []
    spread: list[dict[str, Any]] = []
    for what, label in (("fork-copy", "fork-copy, and exit of the child"), ("zap", "zap")):
        plain, atomic = times["plain"][what].median, times["atomic"][what].median
        slower = times["atomic"][what].above(times["plain"][what])
        spread.append(times["plain"][what].row(f"{what}, plain, ns/page"))
        spread.append(times["atomic"][what].row(f"{what}, atomic, ns/page", slower))
        rows.append(
            {
                "operation": label,
                "plain, ns/page": round(plain, 1),
                "atomic, ns/page": round(atomic, 1),
                "slower": f"{100 * (atomic / plain - 1):+.0f} %",
                "published": PUBLISHED,
            }
        )
    costs = (
        f"atomic {what} takes, as a share of plain, {times['atomic'][what].against(times['plain'][what])}"
        for what in times["plain"]
    )
    sound = designs.get("v12_sound")
    results = [explore(sound, Workload.parse(text, arch="pae"), bounds=Bounds(states=5_000_000)) for text in WORKLOADS]
    safe = all(result.complete and not result.violations for result in results)
    finding = findings.get("F14")
    posted = explore(finding.posted(), finding.case.parse(), bounds=Bounds(states=5_000_000))
    unsafe = [violation.check for violation in posted.violations]
    states = sum(result.states for result in results)
    return Measured(
        tuple(rows),
        (
            *costs,
            f"plain set_pte in fork-copy and zap: {'holds' if safe else 'BREAKS'}, {states:,} states on PAE",
            f"plain set_pte in the fault path: breaks {', '.join(unsafe) or 'nothing'}",
            "simulated: the accesses of copying and zapping alone; what else fork and exit do makes the share smaller",
        ),
        ok=safe and bool(unsafe),
        simulated=tuple(_counted()),
        spread=tuple(spread),
    )


MEASUREMENT = Measurement(
    "F16",
    "atomic set_pte slows fork, exec and shell",
    "What do fork-copy and zap cost on PAE with plain and with atomic set_pte, and where is plain safe?",
    measure,
)
