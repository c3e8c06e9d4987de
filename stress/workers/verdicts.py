"""The verdict of every check on a pool of workers: what broke while they ran, and what does not hold at rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from shm_layout.registers import R_OOPS
from stress.checks import CHECKS, HOLDS, check_functions
from stress.designs.parts.counter_checks import NEED_GHOST
from stress.kernel.bug import USER
from stress.report.words import plural
from stress.workers.loop import block
from stress.workers.memory import within
from stress.workers.records import Shown, Truth, Verdict

if TYPE_CHECKING:
    from stress.workers.pool import Pool


TOLD = 2
"""Troubles of one check that are told in full."""


def judge(pool: Pool) -> list[Verdict]:
    """All verdicts, in the order of `stress.checks.CHECKS`.

    Workers that got stuck are not at rest, so what must hold at rest is not looked at then.
    """
    found: dict[str, list[str]] = {name: [] for name in CHECKS}
    said: dict[str, str] = {}
    # Counted before those that look at what is shown at rest.
    reads, pairs = (int(pool.column(part).sum()) for part in (block.READS, block.PAIRS))
    for name, trouble in (*_while_running(pool), *_stuck(pool)):
        found[name].append(trouble)
    if not pool.stuck:
        for name, trouble in (*_at_rest(pool), *_counters(pool, said), *_stuck(pool)):
            found[name].append(trouble)
    wanted = _wanted(pool)
    if pool.stuck:
        wanted = [name for name in wanted if found[name] or name in ("progress", "read_regular", "read_pair")]
    for name, number in (("read_regular", reads), ("read_pair", pairs)):
        said[name] = f"{plural(number, 'read')} compared" if number else "nothing was compared"
    worst = int(pool.column(block.WORST).max())
    if reads and pool.bound != 0:
        said["read_regular"] += f", off by {worst} at most"
    return [
        Verdict(name, not found[name], _told(found[name]) if found[name] else said.get(name, "")) for name in wanted
    ]


def _told(troubles: list[str]) -> str:
    """What breaks a check, in a line: a broken counter is mostly that of all mms."""
    more = [f"and {len(troubles) - TOLD} more"] if len(troubles) > TOLD else []
    return "; ".join((*troubles[:TOLD], *more))


def _wanted(pool: Pool) -> list[str]:
    """The checks that say something about this design on this machine."""
    leave_out = set()
    if not pool.exact and pool.exact_read != "precise":
        leave_out |= {"rss_exact", "anon_rss_exact"}
    if pool.bound == 0 and pool.exact_read != "precise":
        leave_out.add("rss_bounded")
    if not pool.machine.ghost:
        leave_out.add("data_kept")
    if not pool.machine.mmu:
        leave_out.add("mmu_cache")
    looked_at = set(pool.design.checks) - (set() if pool.machine.ghost else NEED_GHOST)
    if not looked_at and not any(int(pool.registers(w)[R_OOPS]) & USER for w in range(pool.workers)):
        leave_out.add("user")
    return [name for name in CHECKS if name not in leave_out]


def operation_name(pool: Pool, number: int) -> str:
    """Name of an operation by its number."""
    return next((name for name, n in pool.numbers.items() if n == number), f"operation {number}")


def _while_running(pool: Pool) -> Iterator[tuple[str, str]]:
    for name, part in (("read_regular", block.REGULAR), ("read_pair", block.PAIR)):
        records = pool.column(part, block.RECORD_WORDS)
        times = int(records[:, block.BROKEN].sum())
        if times:
            worker = int(np.flatnonzero(records[:, block.BROKEN])[0])
            _, shown, low, high, mm, by, late_low, late_high = (int(v) for v in records[worker])
            allowed = f" (operations under way may be late: {low - late_low} to {high + late_high})"
            what = "resident" if name == "read_regular" else "shared"
            yield (
                name,
                f"broken {plural(times, 'time')}; worker {worker}'s first: {operation_name(pool, by)} showed {what} "
                f"{shown} of mm {mm}, true were {low} to {high}{allowed if late_low or late_high else ''}",
            )
    for check in CHECKS.values():
        seen = [w for w in range(pool.workers) if int(pool.registers(w)[R_OOPS]) & check.oops]
        if seen:
            worker = seen[0]
            operation = int(pool.column(block.OOPS_OP)[worker, 0])
            page = int(pool.column(block.OOPS_ADDRESS)[worker, 0])
            where = f" {within(operation_name(pool, operation), page)}" if operation else ""
            yield check.name, f"a step of {plural(len(seen), 'worker')} saw it; worker {worker}'s first{where}"


def _stuck(pool: Pool) -> Iterator[tuple[str, str]]:
    if pool.stuck:
        yield "progress", f"nothing went on: {pool.stuck}"


def _at_rest(pool: Pool) -> Iterator[tuple[str, str]]:
    for which, (name, function) in enumerate(check_functions(pool.design)):
        place = pool.check(which)
        own = getattr(function, "__name__", "check")
        if pool.stuck:
            pool.stuck = f"check {own} does not end"
            return
        if place != HOLDS:
            yield name, f"at rest: {_place(pool, name, own, place)}"


def _place(pool: Pool, name: str, function: str, place: int) -> str:
    """What the number that a check returned stands for."""
    if name == "page_refs" and place >= pool.machine.frames:
        return f"swap slot {place - pool.machine.frames}"
    if name == "data_kept":
        mm, address = pool.layout.mm_and_page(place)
        return f"page {address} of mm {mm}"
    if name == "progress" and place >= pool.machine.mms:
        return f"CPU {place - pool.machine.mms} is still in rcu_read_lock"
    noun = {"mapcount": "frame", "page_refs": "frame", "mmu_cache": "CPU", "progress": "a lock is held in mm"}
    return f"{noun.get(name, function)} {place}"


def _counters(pool: Pool, said: dict[str, str]) -> Iterator[tuple[str, str]]:
    """What reads show of every mm at rest, held against its page table, up to a read that does not end."""
    if pool.stuck:
        return
    mms = range(pool.machine.mms)
    truths = [pool.truth(mm) for mm in mms]
    if pool.exact or pool.exact_read == "precise":
        read = []
        for mm, truth in zip(mms, truths, strict=True):
            read.append(pool.read(mm))
            if pool.stuck:
                return
            yield from _exact(pool, mm, read[mm], truth)
        said["rss_exact"] = _compared([shown.resident for shown in read])
        said["anon_rss_exact"] = _compared([shown.anon for shown in read])
    if pool.bound != 0 or pool.exact_read == "precise":
        yield from _bounded(pool, truths, said)


def _compared(shown: Sequence[int | None]) -> str:
    pages = [value for value in shown if value is not None]
    return (
        f"{plural(len(pages), 'mm')} compared, {plural(sum(pages), 'page')} in all" if pages else "nothing was compared"
    )


def _named(pool: Pool, mm: int) -> str:
    return f"mm {mm}" if pool.in_use(mm) else f"mm {mm}, which is free,"


def _exact(pool: Pool, mm: int, shown: Shown, truth: Truth) -> Iterator[tuple[str, str]]:
    if shown.resident != truth.resident:
        yield "rss_exact", f"{_named(pool, mm)} shows rss {shown.resident}, true is {truth.resident}"
    if shown.anon is not None and shown.anon != truth.anon:
        yield "anon_rss_exact", f"{_named(pool, mm)} shows anon_rss {shown.anon}, true is {truth.anon}"


def _bounded(pool: Pool, truths: list[Truth], said: dict[str, str]) -> Iterator[tuple[str, str]]:
    bound = pool.bound
    worst = 0
    for mm, truth in enumerate(truths):
        shown = pool.read(mm, "statm")
        if pool.stuck:
            return
        # The bound is for what is held back: of a free mm by no task, and what CPUs held was destroyed with it.
        nobody_holds = not pool.in_use(mm) and not pool.design.bound.raced and not pool.cpus_hold(mm)
        most = 0 if nobody_holds else bound
        for name, value, true in (("rss", shown.resident, truth.resident), ("anon_rss", shown.anon, truth.anon)):
            if value is None:
                continue
            worst = max(worst, abs(value - true))
            if most is not None and abs(value - true) > most:
                yield "rss_bounded", f"{_named(pool, mm)} shows {name} {value}, true is {true}, the bound {most}"
    promise = f"the bound is {bound}" if bound is not None else "the design promises no bound"
    said["rss_bounded"] = f"off by {worst} at most, {promise}"
