"""What `pte-stress live` prints: tables for people, objects for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stress.live.faults import Row
from stress.live.figures import BY_NAME, FIGURES, PEAKS, Explanation, why
from stress.live.outcome import Errors, Outcome, median_us
from stress.live.reading.accounting import INTERFACES, Counting, disagreements
from stress.live.reading.machine import MIB, where_and_when
from stress.report.fitted import fitted, fitted_text
from stress.report.words import plural


def rounded(value: float | None) -> float | None:
    """Return a cost with one decimal."""
    return None if value is None else round(value, 1)


def _pages_and_mib(pages: int, page: int) -> list[str]:
    return [f"{pages:,}", f"{pages * page / MIB:.1f}"]


def live_table(outcome: Outcome, style: str) -> str:
    """Return everything that a run of `live` measured, as text; `style` is a table format of tabulate."""
    said = outcome.said
    rows = [
        [
            e.interface,
            e.name,
            f"{e.now:+d}" if e.now else "0" if e.errors else "-",
            e.worst if e.errors else "-",
            f"{e.median:g}" if e.errors else "-",
            e.provoked if e.held_back else "-",
            *_pages_and_mib(e.bound.pages, said.page),
            "yes" if e.ok else "NO",
            rounded(median_us(outcome.rest_us.get(e.interface, []))) if e.errors else None,
            rounded(median_us(outcome.busy_us.get(e.interface, []))) if e.errors else None,
        ]
        for e in outcome.counters.values()
    ]
    heads = ["interface", "figure", "now", "worst", "median", "held", "bound", "MiB", "within", "read us", "load us"]
    ways = [
        [name, str(outcome.version[name]), str(outcome.seen.get(name) or "-"), outcome.of(name)[0].bound.how]
        for name in INTERFACES
    ]
    lines = [
        f"Linux {said.kernel}, {plural(said.cpus, 'CPU')} online, {said.page:,} bytes a page.",
        f"Errors in pages, at rest: now, worst and median of {plural(outcome.rounds, 'round')} of load;",
        "held: while as many pages as can be were held back on purpose.",
        "",
        fitted(rows, heads, style=style, colalign=("left", "left", *["right"] * 6, "left", "right", "right")),
        "",
        fitted(ways, ["interface", "counts by version", "as seen", "bound of its resident size"], style=style),
        "",
        *disagreements(outcome.version, outcome.seen),
        f"Load: {outcome.hops} hops between CPUs, {outcome.forks} forks, {outcome.busy_reads} reads of each interface.",
        f"Pages that came or went while reading at rest: {outcome.moved}.",
        f"Page walks compared: {outcome.walks}: " + ("equal." if not outcome.walks_differ else "DIFFERENT."),
        *outcome.walks_differ,
        *held_back_line(outcome),
        f"Verdict: {'within the bound' if outcome.ok else 'NOT within the bound'}; seed {outcome.seed}.",
        fitted_text(outcome.recommendation()),
    ]
    return "\n".join(lines)


def held_back_line(outcome: Outcome) -> list[str]:
    """Return how near the bound of stat the pages held back on purpose came, and what stood in the way."""
    stat = outcome.counters["stat", "rss"]
    if not stat.bound.pages or not stat.held_back:
        return []
    why = f"; {outcome.reach}" if outcome.reach else ""
    return [f"Held back on purpose: {stat.provoked:,} of {plural(stat.bound.pages, 'page')} that can be{why}."]


def _figure_json(errors: Errors) -> dict[str, Any]:
    return {
        "name": errors.name,
        "bound_pages": errors.bound.pages,
        "now_error_pages": errors.now,
        "worst_error_pages": errors.worst,
        "median_error_pages": errors.median,
        "held_back_error_pages": errors.provoked if errors.held_back else None,
    }


def live_json(outcome: Outcome) -> dict[str, Any]:
    """Return the object that `live --json` prints."""
    interfaces = []
    for name in INTERFACES:
        figures = outcome.of(name)
        size = _figure_json(figures[0])
        interfaces.append(
            {
                **size,
                "name": name,
                "bound": figures[0].bound.how,
                "read_us": rounded(median_us(outcome.rest_us[name])),
                "read_under_load_us": rounded(median_us(outcome.busy_us[name])),
                "figures": [_figure_json(errors) for errors in figures],
            }
        )
    return {
        **where_and_when(),
        "kernel": outcome.said.kernel,
        "cpus": outcome.said.cpus,
        "page_size": outcome.said.page,
        "accounting": {
            name: {
                "by_version": str(outcome.version[name]),
                "seen": None if outcome.seen.get(name) is None else str(outcome.seen[name]),
                "decided": str(outcome.said.ways[name]),
            }
            for name in INTERFACES
        },
        "rounds": outcome.rounds,
        "interfaces": interfaces,
        "peaks": [
            {
                "interface": interface,
                "name": name,
                "bound_pages": errors.bound.pages,
                "held_back_error_pages": errors.provoked if errors.held_back else None,
            }
            for interface, name in PEAKS
            for errors in [outcome.counters[interface, name]]
        ],
        "held_back_less_because": outcome.reach or None,
        "ok": outcome.ok,
        "recommendation": outcome.recommendation(),
        "seed": outcome.seed,
        "walks": outcome.walks,
        "walks_differ": outcome.walks_differ,
        "moved_pages": outcome.moved,
    }


def explain_text(said: Explanation, style: str) -> str:
    """Return the paragraph and the table of `live --explain`."""
    rows = []
    for figure in FIGURES:
        limit = said.bound(figure)
        size = ["-", "-"] if limit is None else _pages_and_mib(limit.pages, said.page)
        rows.append([str(figure), *size, said.instead(figure)])
    stat = said.ways["stat"]
    learned = f"learned from this kernel: {', '.join(said.learned) or 'none, so its version decides'}"
    how = "The kernel counts resident pages as they come and go; it does not look at them when it is asked. "
    how += f"{why(stat, said.cpus)}"
    if stat.counting != Counting.EXACT:
        summed = [name for name in ("statm", "status") if said.ways[name].counting == Counting.EXACT]
        how += " A reader of stat misses that"
        how += "; statm and status add it up, and are exact." if len(summed) == 2 else ", and so does one of statm."
    limit = said.bound(BY_NAME["stat", "rss"])
    none = [f"{figure} has no bound: {figure.no_bound}." for figure in FIGURES if figure.no_bound]
    return "\n".join(
        [
            fitted_text(
                f"Linux {said.kernel}, {plural(said.cpus, 'CPU')} online, {said.page:,} bytes a page; a process with "
                f"{plural(said.threads, 'thread')}, at rest. How its figures count was {learned}."
            ),
            "",
            fitted_text(how),
            *([f"Bound of field 24 of stat: {limit.how}."] if limit is not None and limit.pages else []),
            "",
            fitted(rows, ["figure", "off by at most, pages", "MiB", "read instead"], style=style,
                   disable_numparse=True, colalign=("left", "right", "right", "left")),
            "",
            *map(fitted_text, none),
            fitted_text(
                "A peak misses what comes in while other pages go, too. "
                "A difference of two reads can be off by twice as much."
            ),
            fitted_text(said.recommendation()),
        ]
    )  # fmt: skip


def explain_json(said: Explanation) -> dict[str, Any]:
    """Return the object that `live --explain --json` prints."""
    figures = []
    for figure in FIGURES:
        limit = said.bound(figure)
        figures.append(
            {
                "interface": figure.interface,
                "name": figure.name,
                "means": figure.means,
                "bound_pages": None if limit is None else limit.pages,
                "bound_bytes": None if limit is None else limit.pages * said.page,
                "bound": figure.no_bound if limit is None else limit.how,
                "counts": str(said.ways[figure.way]) if figure.way else None,
                "instead": said.instead(figure) or None,
            }
        )
    return {
        **where_and_when(),
        "kernel": said.kernel,
        "cpus": said.cpus,
        "threads": said.threads,
        "page_size": said.page,
        "learned": list(said.learned),
        "figures": figures,
        "recommendation": said.recommendation(),
    }


def fault_text(rows: Sequence[Row], style: str) -> str:
    """Return the fault table in the columns of 2004, for each kind and mode of worker."""
    heads = ["kind", "mode", "Gb", "Rep", "Workers", "User", "System", "Wall", "flt/cpu/s", "fault/wsec"]
    body = [
        [
            r.kind,
            r.mode,
            f"{r.bytes_once / 2**30:.3f}",
            r.rep,
            r.workers,
            f"{r.user:.3f}s",
            f"{r.system:.3f}s",
            f"{r.wall:.3f}s",
            f"{r.fault_cpu_sec:.0f}",
            f"{r.fault_wsec:.0f}",
        ]
        for r in rows
    ]
    return fitted(body, heads, style=style, disable_numparse=True, colalign=("left", "left", *["right"] * 8))


def fault_json(kernel: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the object that `live --table --json` prints."""
    return {
        **where_and_when(),
        "kernel": kernel,
        "rows": [
            {
                "kind": r.kind,
                "mode": r.mode,
                "workers": r.workers,
                "faults": r.faults,
                "wall": r.wall,
                "fault_wsec": r.fault_wsec,
                "bytes": r.bytes_once,
                "rep": r.rep,
                "user": r.user,
                "system": r.system,
                "fault_cpu_sec": r.fault_cpu_sec,
            }
            for r in rows
        ],
    }
