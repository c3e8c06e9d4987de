"""What `pte-stress live --pid` prints: lines of samples, a summary, records for JSON and CSV, text for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from stress.commands.live_report import rounded
from stress.live.figures import pages_text
from stress.live.reading.machine import MIB, kernel_release, where_and_when
from stress.live.watch import Sample, summary
from stress.report.fitted import fitted, fitted_text, terminal_width
from stress.report.words import plural

COLUMNS = (
    ("time", "s", 7),
    ("pid", "", 7),
    ("VmRSS", "pages", 8),
    ("stat", "pages", 8),
    ("walk", "pages", 8),
    ("walk", "MiB", 9),
    ("off", "pages", 5),
    ("stat off", "pages", 8),
    ("moved", "pages", 6),
)
"""Heading, unit and width of what a line has of a sample; with the blanks between them it fits into 80 columns."""
NAME_WIDTH = 15
"""Longest name of a process, proc_pid_comm(5)."""
BESIDE = (
    ("Pss", ("Pss",), "its share: a page that n processes map counts 1/n"),
    ("Private", ("Private_Clean", "Private_Dirty"), "mapped by nobody else: comes free when it ends"),
    ("LazyFree", ("LazyFree",), "freed by MADV_FREE; resident, and counted, until memory is short"),
    ("Swap", ("Swap",), "swapped out: in no resident size"),
    ("HugetlbPages", ("Shared_Hugetlb", "Private_Hugetlb"), "huge pages of hugetlbfs: in no resident size, no walk"),
)
"""What the walk finds beside the resident size: its name, the fields of smaps_rollup that it sums, its meaning."""


def beside(sample: Sample) -> dict[str, int]:
    """Return what the walk of a sample found beside the resident size, in KiB; empty where only smaps was there."""
    if not sample.kib:
        return {}
    return {name: sum(sample.kib.get(field, 0) for field in fields) for name, fields, _ in BESIDE}


def _line(values: Sequence[str], name: str) -> str:
    """Return the values in their columns, and the name of the process where the terminal is wide enough for it."""
    line = " ".join(f"{value:>{width}}" for value, (_, _, width) in zip(values, COLUMNS, strict=True))
    return line if 0 < terminal_width() < len(line) + 2 + NAME_WIDTH else f"{line}  {name}".rstrip()


def sample_head() -> str:
    """Return the two lines above samples: headings and units."""
    return _line([head for head, _, _ in COLUMNS], "name") + "\n" + _line([unit for _, unit, _ in COLUMNS], "")


def sample_line(sample: Sample, page: int) -> str:
    """Return one sample as a line under `sample_head`; page: bytes in a page."""
    off = (sample.off(sample.vmrss), sample.off(sample.stat), sample.moved)
    sizes = (sample.vmrss, sample.stat, sample.walk)
    mib = f"{sample.walk * page / MIB:.1f}"
    return _line((f"{sample.at:.2f}", str(sample.pid), *map(str, sizes), mib, *map(str, off)), sample.name)


def sum_line(samples: Sequence[Sample], page: int) -> str:
    """Return the sum of one sample of each of several processes; pages that they share count more than once."""
    rows = [(s.vmrss, s.stat, s.walk, s.off(s.vmrss), s.off(s.stat), s.moved) for s in samples]
    vmrss, stat, walk, *off = (sum(of) for of in zip(*rows, strict=True))
    mib = f"{walk * page / MIB:.1f}"
    return _line((f"{samples[0].at:.2f}", "all", str(vmrss), str(stat), str(walk), mib, *map(str, off)), "")


def sample_lines(samples: Sequence[Sample], page: int) -> list[str]:
    """Return a line for each sample of one look, and their sum where there are several."""
    return [sample_line(s, page) for s in samples] + ([sum_line(samples, page)] if len(samples) > 1 else [])


def sample_json(sample: Sample, page: int) -> dict[str, Any]:
    """Return the flat object of one sample, for `live --pid` with --json and --csv; ``page``: bytes of a page."""
    extra = beside(sample)
    about = where_and_when()
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
        "peak_pages": sample.peak,
        **{f"{name.lower()}_kib": extra.get(name) for name, _, _ in BESIDE},
        "wall_time": datetime.fromtimestamp(sample.wall, UTC).isoformat(timespec="milliseconds"),
        "host": about["host"],
        "kernel": about["kernel"],
        "cgroup": sample.cgroup,
        "memory_current_bytes": sample.charged,
    }


def watch_summary(samples: Mapping[int, Sequence[Sample]], style: str, page: int) -> str:
    """Return worst and median errors, peaks and costs of every process, what its last walk found, and a sentence."""
    body, more = [], []
    for pid, taken in samples.items():
        s, last = summary(taken), taken[-1]
        figures = (s["vmrss_worst"], s["vmrss_median"], s["stat_worst"], s["stat_median"], s["peak"], s["walk_peak"])
        costs = (rounded(s["vmrss_us"]), rounded(s["walk_us"]), last.source)
        body.append([pid, last.name, s["samples"], *figures, *costs])
        found = beside(last)
        more += [[pid, name, f"{found[name] / 1024:.1f}", means] for name, _, means in BESIDE if found.get(name)]
        if last.charged is not None:
            means = f"of cgroup {last.cgroup}: page cache and kernel memory too"
            more.append([pid, "memory.current", f"{last.charged / MIB:.1f}", means])
    heads = ["pid", "name", "samples", "VmRSS off, worst", "median", "stat off, worst", "median"]
    heads += ["VmHWM", "walk's peak", "read us", "walk us", "walk"]
    lines = ["Errors and peaks in pages:", fitted(body, heads, style=style)]
    if more:
        lines += ["", "Beside the resident size, at the last sample:"]
        lines.append(fitted(more, ["pid", "figure", "MiB", "what it is"], style=style, disable_numparse=True,
                            colalign=("right", "left", "right", "left")))  # fmt: skip
    return "\n".join([*lines, "", fitted_text(watch_sentence(samples, page))])


def watch_sentence(samples: Mapping[int, Sequence[Sample]], page: int) -> str:
    """Return what was seen of VmRSS and of stat, as a sentence that says what to read."""
    every = list(chain.from_iterable(samples.values()))
    vmrss = max(abs(s.off(s.vmrss)) for s in every)
    stat = max(abs(s.off(s.stat)) for s in every)
    seen = f"in {plural(len(every), 'sample')} on Linux {kernel_release()}"
    if vmrss:
        return (
            f"VmRSS was off by up to {pages_text(vmrss, page)}, field 24 of stat by {pages_text(stat, page)}, {seen}: "
            f"where that is too much, read Rss of smaps_rollup."
        )
    if stat:
        return f"VmRSS was exact {seen}; field 24 of stat was off by up to {pages_text(stat, page)}: do not use it."
    return f"VmRSS and stat were exact {seen}; `live --explain` says by how much they can be off."


def prometheus_text(samples: Sequence[Sample], page: int) -> str:
    """Return the last sample of each process in Prometheus' text format; sizes in bytes."""
    sizes, errors = [], []
    for s in samples:
        name = s.name.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        labels = f'pid="{s.pid}",name="{name}"'
        pages = {"VmRSS": s.vmrss, "stat": s.stat, "walk": s.walk, "VmHWM": s.peak}
        in_bytes = {figure: count * page for figure, count in pages.items()}
        in_bytes |= {figure: kib * 1024 for figure, kib in beside(s).items()}
        sizes += [f'pte_stress_memory_bytes{{{labels},figure="{figure}"}} {size}' for figure, size in in_bytes.items()]
        for figure, count in (("VmRSS", s.vmrss), ("stat", s.stat)):
            errors.append(f'pte_stress_error_bytes{{{labels},figure="{figure}"}} {s.off(count) * page}')
    lines = [
        "# HELP pte_stress_memory_bytes Memory of a process by figure; walk is what is mapped.",
        "# TYPE pte_stress_memory_bytes gauge",
        *sizes,
        "# HELP pte_stress_error_bytes By how much a figure lay outside of what the page walks allow.",
        "# TYPE pte_stress_error_bytes gauge",
        *errors,
        "# HELP pte_stress_sample_time_seconds When the newest sample was taken, in seconds since 1970.",
        "# TYPE pte_stress_sample_time_seconds gauge",
        f"pte_stress_sample_time_seconds {max(s.wall for s in samples):.3f}",
    ]
    return "\n".join(lines) + "\n"


def draw_watch(path: Path, samples: Mapping[int, Sequence[Sample]], page: int) -> None:
    """Draw size and error of every process by time into a file."""
    from stress.report.plot import Panel, draw

    sizes: dict[str, dict[float, float]] = {}
    errors: dict[str, dict[float, float]] = {}
    for pid, taken in samples.items():
        for s in taken:
            for figure, pages in (("walk", s.walk), ("VmRSS", s.vmrss), ("stat", s.stat)):
                sizes.setdefault(f"{figure}, {pid} {s.name}", {})[s.at] = pages * page / MIB
            for figure, pages in (("VmRSS", s.vmrss), ("stat", s.stat)):
                errors.setdefault(f"{figure}, {pid} {s.name}", {})[s.at] = s.off(pages)
    panels = [
        Panel("resident size", "time, s", "MiB", sizes, log_y=False, log_x=False),
        Panel("off by", "time, s", "pages", errors, log_y=False, log_x=False),
    ]
    about = where_and_when()
    draw(path, panels, f"{about['host']}, Linux {about['kernel']}, {about['time']}")
