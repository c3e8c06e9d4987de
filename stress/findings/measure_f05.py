"""F05: is there no arrangement of fields, and no moment of counting, that avoids the bouncing cache line?"""

from __future__ import annotations

from stress import designs
from stress.design import Design
from stress.designs.atomic import ATOMIC
from stress.designs.parts.correction import Correction, everywhere
from stress.designs.parts.operations import FAULTS
from stress.findings.fault_rates import contention_note, faults_per_second, million, ratio, worker_numbers
from stress.findings.measurement import Measured, Measurement
from stress.findings.simulated import simulated_rates
from stress.kernel import spinlock
from stress.kernel.rss import late
from stress.labels import COUNTED_LATE, DO_ANONYMOUS_PAGE
from stress.program import At, Program
from stress.report.words import plural

PLACEMENTS = {
    "posted": "beside mmap_sem and page_table_lock",
    "separate": "on a line of their own",
    "padded": "one line per counter",
    "big_reader": "one line per counter, readers of mmap_sem by CPU",
}


def _late(p: Program) -> Program:
    """Return the fault whose both counts are made at its end, if the page is anonymous."""
    p = p.splice(tuple(ATOMIC.fault_anon_rss), late.count_late, within=DO_ANONYMOUS_PAGE)  # type: ignore[arg-type]
    p = p.splice(tuple(ATOMIC.fault_rss), within=DO_ANONYMOUS_PAGE)  # type: ignore[arg-type]
    count = (late.if_late, *ATOMIC.fault_anon_rss, *ATOMIC.fault_rss, At(COUNTED_LATE))
    return p.before(spinlock.up_read, count)


def counted_late() -> Design:
    """Atomic counters, changed just before mmap_sem is released."""
    edit = Correction("count_late", "count just before mmap_sem is released", everywhere(FAULTS, _late))
    return edit.apply(designs.get("atomic"), "atomic_late")


def measure(effort: float, seed: int) -> Measured:
    """Measure anonymous faults with atomic counters in all placements, counted at once and late, and per-task ones."""
    chosen = {"at once": designs.get("atomic"), "late": counted_late(), "list": designs.get("list")}
    rows = []
    spread = []
    best: dict[int, tuple[float, str, str]] = {}
    for workers in worker_numbers():
        for placement, where in PLACEMENTS.items():
            rates = faults_per_second(
                chosen, "anon-write", workers=workers, effort=effort, seed=seed, placement=placement
            )
            spread += rates.spread(f"{where}, {plural(workers, 'worker')}", "list")
            for when in ("at once", "late"):
                share = ratio(rates[when], rates["list"])
                this = (share, f"{where}, {when}", rates.against(when, "list"))
                best[workers] = max(best.get(workers, this), this)
                rows.append(
                    {
                        "counters lie": where,
                        "counted": when,
                        "workers": workers,
                        "faults, M/s": million(rates[when]),
                        "per-task there, M/s": million(rates["list"]),
                        "of per-task": share,
                    }
                )
    says = tuple(
        f"with {plural(workers, 'worker')} the best arrangement ({where}) lets faults reach, as a share of "
        f"per-task counters, {against}"
        for workers, (_, where, against) in best.items()
    )
    simulated = [
        row
        for placement, where in PLACEMENTS.items()
        for row in simulated_rates(chosen, effort=effort, seed=seed, placement=placement, counters_lie=where)
    ]
    return Measured(tuple(rows), (*says, contention_note()), simulated=tuple(simulated), spread=tuple(spread))


MEASUREMENT = Measurement(
    "F05",
    "does no arrangement avoid the bouncing cache line?",
    "Counters beside mmap_sem and page_table_lock, apart, one line each; counted at once, or near its release.",
    measure,
)
