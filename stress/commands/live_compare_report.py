"""What `pte-stress live --compare` prints: a sentence or two, the smallest script that differs, objects for JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from stress.live.compare.compare import Comparison
from stress.live.compare.family import describe
from stress.live.compare.side_by_side import PAGES, PROCESSES, Step
from stress.live.reading.machine import where_and_when
from stress.live.reading.process import Resident
from stress.report.fitted import fitted

HEADS = ("#", "operation", "proc", "kernel", "model", "statm", "")


def _kinds(pages: Resident | None) -> str:
    return "-" if pages is None else f"{pages.anon}/{pages.file}/{pages.shmem}"


def _rows(number: int, step: Step) -> list[list[Any]]:
    """Return a row for each process after one operation, the first with the operation."""
    rows: list[list[Any]] = []
    for process, walked in step.kernel.items():
        shown = step.counters.get(process, {})
        statm = [str(shown[name][0]) if name in shown else "-" for name in ("statm resident", "statm shared")]
        wrong = any(d.process == process for d in step.differences)
        new = [number, describe(step.op)] if not rows else ["", ""]
        mapped = _kinds(step.model.get(process))
        rows.append([*new, process, _kinds(walked), mapped, "/".join(statm), "<--" if wrong else ""])
    return rows


def compare_text(done: Comparison, style: str) -> str:
    """Return everything that a comparison found, as text; `style` is a table format of tabulate."""
    ended = "" if done.failing or done.scripts >= done.asked else f" (of {done.asked} asked for)"
    lines = [
        f"Linux {done.kernel} against {done.design}: {done.scripts} scripts{ended} with {done.operations} operations",
        f"and {done.processes} forks, on {PAGES} anonymous, {PAGES} private-file and {PAGES} shared-file pages of up",
        f"to {PROCESSES} processes: no difference{' in these' if done.failing else ''}.",
    ]
    if done.scripts:
        lines.append(f"Largest error of an interface of the kernel, within its bound: {done.worst} pages.")
    else:
        lines = [f"Linux {done.kernel} against {done.design}: the first script differs already."]
    if done.failing:
        rows = [row for number, step in enumerate(done.failing, 1) for row in _rows(number, step)]
        lines += [
            "",
            "The smallest script that differs, after each operation: anonymous/file/shared",
            "pages of every process on both sides, resident/shared in the statm of the model:",
            "",
            fitted(rows, HEADS, style=style, disable_numparse=True, colalign=("right", "left", *["right"] * 5)),
            "",
            *map(str, done.differences),
        ]
        if not done.repeated:
            lines.append("It was not there again when the script was repeated: is memory short?")
    lines.append(f"Verdict: {'the same' if done.ok else 'NOT the same'}; seed {done.seed}.")
    return "\n".join(lines)


def compare_json(done: Comparison) -> dict[str, Any]:
    """Return the object that `live --compare --json` prints."""
    return {
        **where_and_when(),
        "kernel": done.kernel,
        "design": done.design,
        "scripts": done.scripts,
        "operations": done.operations,
        "differences": [asdict(difference) for difference in done.differences],
        "ok": done.ok,
        "seed": done.seed,
        "forks": done.processes,
        "worst_error_pages": done.worst,
        "script": [describe(step.op) for step in done.failing],
        "repeated": done.repeated,
    }
