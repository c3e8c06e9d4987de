"""The verdict of every check on what a pool of workers has come to: while they ran, and at rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stress.checks import AT_REST, CHECKS, HOLDS, check_functions
from stress.designs.parts.counter_checks import NEED_GHOST
from stress.kernel.bug import PAGE_TABLES, USER
from stress.report.words import plural
from stress.workers.observed import MmAtRest, Observed
from stress.workers.records import Shown, Verdict

TOLD = 2
"""Troubles of one check that are printed in full."""


def judge(seen: Observed) -> list[Verdict]:
    """Return all verdicts, in the order of `stress.checks.CHECKS`.

    Workers that got stuck are not at rest, so what must hold at rest is not looked at then.
    """
    found: dict[str, list[str]] = {name: [] for name in CHECKS}
    said: dict[str, str] = {}
    for name, trouble in (*_while_running(seen), *_at_rest(seen), *_counters(seen, said)):
        found[name].append(trouble)
    if seen.stuck:
        found["progress"].append(f"nothing went on: {seen.stuck}")
    wanted = _wanted(seen)
    if seen.stuck:
        wanted = [name for name in wanted if found[name] or name in ("progress", "read_regular", "read_pair")]
    for name, number in (("read_regular", seen.reads), ("read_pair", seen.pairs)):
        said[name] = f"{plural(number, 'read')} compared" if number else "nothing was compared"
    if seen.reads and seen.bound != 0:
        said["read_regular"] += f", off by {seen.worst} at most"
    return [
        Verdict(name, not found[name], _told(found[name]) if found[name] else said.get(name, "")) for name in wanted
    ]


def _told(troubles: list[str]) -> str:
    """Return what breaks a check, in a line: a broken counter is mostly that of all mms."""
    more = [f"and {len(troubles) - TOLD} more"] if len(troubles) > TOLD else []
    return "; ".join((*troubles[:TOLD], *more))


def _wanted(seen: Observed) -> list[str]:
    """Return the checks that say something about this design on this machine."""
    leave_out = set()
    sums = seen.design.sums
    if not seen.exact and not sums:
        leave_out |= {"rss_exact", "anon_rss_exact"}
    if seen.bound == 0 and not sums:
        leave_out.add("rss_bounded")
    if not seen.layout.machine.ghost:
        leave_out |= {"data_kept", "dropped"}
    if not seen.layout.machine.pmd and not any(worker.oops & PAGE_TABLES for worker in seen.workers):
        leave_out.add("page_tables")
    if not seen.layout.machine.mmu:
        leave_out.add("mmu_cache")
    looked_at = set(seen.design.checks) - (set() if seen.layout.machine.ghost else NEED_GHOST)
    if not looked_at and not any(worker.oops & USER for worker in seen.workers):
        leave_out.add("user")
    return [name for name in CHECKS if name not in leave_out and seen.design.machine.has(name)]


def _while_running(seen: Observed) -> Iterator[tuple[str, str]]:
    for name, first in seen.broken_reads.items():
        late = first.late_low or first.late_high
        low, high = first.low - first.late_low, first.high + first.late_high
        allowed = f" (operations under way may be late: {low} to {high})" if late else ""
        what = "resident" if name == "read_regular" else "shared"
        yield (
            name,
            f"broken {plural(first.times, 'time')}; worker {first.worker}'s first: {first.operation} showed {what} "
            f"{first.shown} of mm {first.mm}, true were {first.low} to {first.high}{allowed}",
        )
    for check in CHECKS.values():
        saw = [number for number, worker in enumerate(seen.workers) if worker.oops & check.oops]
        if saw:
            first_one = f"worker {saw[0]}'s first{seen.workers[saw[0]].where}"
            yield check.name, f"a step of {plural(len(saw), 'worker')} saw it; {first_one}"


def _at_rest(seen: Observed) -> Iterator[tuple[str, str]]:
    for place, (name, function) in zip(seen.places, check_functions(seen.design), strict=False):
        if place != HOLDS:
            own = f"{getattr(function, '__name__', 'check')} {place}"
            yield name, f"at rest: {CHECKS[name].what(seen.layout, place) if function in AT_REST.values() else own}"


def _counters(seen: Observed, said: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what reads show of every mm at rest, held against its page table, up to a read that did not end."""
    read = [(mm, one, one.exact) for mm, one in enumerate(seen.mms) if one.exact is not None]
    for mm, one, shown in read:
        yield from _exact(mm, one, shown)
    if read and len(read) == len(seen.mms):
        said["rss_exact"] = _compared([shown.resident for _, _, shown in read])
        said["anon_rss_exact"] = _compared([shown.anon for _, _, shown in read])
    yield from _bounded(seen, said)


def _compared(shown: Sequence[int | None]) -> str:
    pages = [value for value in shown if value is not None]
    return (
        f"{plural(len(pages), 'mm')} compared, {plural(sum(pages), 'page')} in all" if pages else "nothing was compared"
    )


def _named(mm: int, one: MmAtRest) -> str:
    return f"mm {mm}" if one.in_use else f"mm {mm}, which is free,"


def _exact(mm: int, one: MmAtRest, shown: Shown) -> Iterator[tuple[str, str]]:
    if shown.resident != one.truth.resident:
        yield "rss_exact", f"{_named(mm, one)} shows rss {shown.resident}, true is {one.truth.resident}"
    if shown.anon is not None and shown.anon != one.truth.anon:
        yield "anon_rss_exact", f"{_named(mm, one)} shows anon_rss {shown.anon}, true is {one.truth.anon}"


def _bounded(seen: Observed, said: dict[str, str]) -> Iterator[tuple[str, str]]:
    worst, read = 0, [(mm, one, one.bounded) for mm, one in enumerate(seen.mms) if one.bounded is not None]
    for mm, one, shown in read:
        # The bound is for what is held back: of a free mm by no task, and what CPUs held was destroyed with it.
        nobody_holds = not one.in_use and not seen.design.bound.raced and not one.on_cpus
        most = 0 if nobody_holds else seen.bound
        pairs = ("rss", shown.resident, one.truth.resident), ("anon_rss", shown.anon, one.truth.anon)
        for name, value, true in pairs:
            if value is None:
                continue
            worst = max(worst, abs(value - true))
            if most is not None and abs(value - true) > most:
                yield "rss_bounded", f"{_named(mm, one)} shows {name} {value}, true is {true}, the bound {most}"
    if read and len(read) == len(seen.mms):
        promise = f"the bound is {seen.bound}" if seen.bound is not None else "the design promises no bound"
        said["rss_bounded"] = f"off by {worst} at most, {promise}"
