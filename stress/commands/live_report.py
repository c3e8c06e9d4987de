"""What `pte-stress live` prints: tables for people, objects for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stress.live.faults import Row
from stress.live.outcome import Outcome, median_us
from stress.live.reading.accounting import INTERFACES, disagreements
from stress.live.watch import Sample, summary
from stress.report.fitted import fitted, terminal_width


def rounded(value: float | None) -> float | None:
    """A cost with one decimal."""
    return None if value is None else round(value, 1)


def live_table(outcome: Outcome, style: str) -> str:
    """Everything that a run of `live` measured, as text; `style` is a table format of tabulate."""
    rows = [
        [
            e.interface,
            e.name,
            f"{e.now:+d}" if e.now else "0",
            e.worst,
            e.median,
            e.bound.pages,
            "yes" if e.ok else "NO",
            rounded(median_us(outcome.rest_us[e.interface])),
            rounded(median_us(outcome.busy_us[e.interface])),
        ]
        for e in outcome.counters.values()
    ]
    heads = [
        "interface",
        "figure",
        "now",
        "worst",
        "median",
        "bound",
        "within",
        "read us",
        "under load",
    ]
    ways = [
        [
            name,
            str(outcome.version[name]),
            str(outcome.seen.get(name) or "-"),
            outcome.counters[key].bound.how,
        ]
        for name, key in {e.interface: k for k, e in reversed(outcome.counters.items())}.items()
    ]
    ways.sort(key=lambda row: INTERFACES.index(row[0]))
    lines = [
        f"Linux {outcome.kernel}, {outcome.cpus} CPUs online, {outcome.page} bytes a page;",
        f"errors in pages, at rest, over {outcome.rounds} rounds",
        "",
        fitted(rows, heads, style=style),
        "",
        fitted(ways, ["interface", "counts by version", "as seen", "bound of its resident size"], style=style),
        "",
        *disagreements(outcome.version, outcome.seen),
        f"Load: {outcome.hops} hops between CPUs, {outcome.forks} forks, {outcome.busy_reads} reads of each interface.",
        f"Pages that came or went while reading at rest: {outcome.moved}.",
        f"Page walks compared: {outcome.walks}: " + ("equal." if not outcome.walks_differ else "DIFFERENT."),
        *outcome.walks_differ,
        f"Verdict: {'within the bound' if outcome.ok else 'NOT within the bound'}; seed {outcome.seed}.",
    ]
    return "\n".join(lines)


def live_json(outcome: Outcome) -> dict[str, Any]:
    """The object that `live --json` prints."""
    interfaces = []
    for name in INTERFACES:
        figures = outcome.of(name)
        size = figures[0]
        interfaces.append(
            {
                "name": name,
                "bound_pages": size.bound.pages,
                "bound": size.bound.how,
                "now_error_pages": size.now,
                "worst_error_pages": size.worst,
                "median_error_pages": size.median,
                "read_us": rounded(median_us(outcome.rest_us[name])),
                "read_under_load_us": rounded(median_us(outcome.busy_us[name])),
                "figures": [
                    {
                        "name": e.name,
                        "bound_pages": e.bound.pages,
                        "now_error_pages": e.now,
                        "worst_error_pages": e.worst,
                        "median_error_pages": e.median,
                    }
                    for e in figures
                ],
            }
        )
    return {
        "kernel": outcome.kernel,
        "cpus": outcome.cpus,
        "page_size": outcome.page,
        "accounting": {
            name: {
                "by_version": str(outcome.version[name]),
                "seen": None if outcome.seen.get(name) is None else str(outcome.seen[name]),
                "decided": str(outcome.ways[name]),
            }
            for name in INTERFACES
        },
        "rounds": outcome.rounds,
        "interfaces": interfaces,
        "ok": outcome.ok,
        "seed": outcome.seed,
        "walks": outcome.walks,
        "walks_differ": outcome.walks_differ,
        "moved_pages": outcome.moved,
    }


def fault_text(rows: Sequence[Row], style: str) -> str:
    """The fault table in the columns of 2004, for each kind and mode of worker."""
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
    """The object that `live --table --json` prints."""
    return {
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


SAMPLE_WIDTHS = (7, 7, 8, 8, 8, 5, 8, 5, 7, 8)
"""80 columns with the blanks between them."""
NAME_WIDTH = 15
"""Longest name of a process, proc_pid_comm(5)."""


def _sample(values: Sequence[str], name: str) -> str:
    """Values of a sample in their columns, and the name of the process where the terminal is wide enough for it."""
    line = " ".join(f"{value:>{width}}" for value, width in zip(values, SAMPLE_WIDTHS, strict=True))
    return line if 0 < terminal_width() < len(line) + 2 + NAME_WIDTH else f"{line}  {name}"


def sample_head() -> str:
    """The line above samples."""
    names = ("time", "pid", "VmRSS", "stat", "walk", "off", "stat off", "moved", "read us", "walk us")
    return _sample(names, "name")


def sample_line(sample: Sample) -> str:
    """One sample as a line under `sample_head`; sizes in pages."""
    sizes = (sample.vmrss, sample.stat, sample.walk, sample.off(sample.vmrss), sample.off(sample.stat), sample.moved)
    times = (f"{sample.vmrss_us:.1f}", f"{sample.walk_us:.1f}")
    return _sample((f"{sample.at:.2f}", str(sample.pid), *map(str, sizes), *times), sample.name)


def sum_line(samples: Sequence[Sample]) -> str:
    """The sum of one sample of each of several processes; pages that they share count more than once."""
    sizes = [(s.vmrss, s.stat, s.walk, s.off(s.vmrss), s.off(s.stat), s.moved) for s in samples]
    times = (f"{sum(s.vmrss_us for s in samples):.1f}", f"{sum(s.walk_us for s in samples):.1f}")
    return _sample((f"{samples[0].at:.2f}", "all", *(str(sum(of)) for of in zip(*sizes, strict=True)), *times), "")


def sample_json(sample: Sample, page: int) -> dict[str, Any]:
    """The object that `live --pid --json` prints for one sample."""
    return {
        "time": round(sample.at, 3),
        "pid": sample.pid,
        "name": sample.name,
        "page_size": page,
        "vmrss_pages": sample.vmrss,
        "stat_pages": sample.stat,
        "walk_pages": sample.walk,
        "error_pages": sample.off(sample.vmrss),
        "stat_error_pages": sample.off(sample.stat),
        "moved_pages": sample.moved,
        "read_us": rounded(sample.vmrss_us),
        "walk_us": rounded(sample.walk_us),
        "walk": sample.source,
    }


def watch_summary(samples: Mapping[int, Sequence[Sample]], style: str) -> str:
    """Worst and median errors and costs of every process that was watched."""
    body = []
    for pid, taken in samples.items():
        s = summary(taken)
        body.append(
            [
                pid,
                taken[-1].name,
                s["samples"],
                s["vmrss_worst"],
                s["vmrss_median"],
                s["stat_worst"],
                s["stat_median"],
                rounded(s["vmrss_us"]),
                rounded(s["walk_us"]),
                taken[-1].source,
            ]
        )
    heads = [
        "pid",
        "name",
        "samples",
        "VmRSS worst",
        "median",
        "stat worst",
        "median",
        "read us",
        "walk us",
        "walk",
    ]
    return fitted(body, heads, style=style)
