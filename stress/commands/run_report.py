"""The text and the JSON that `pte-stress run` prints, and the file that it saves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from stress.design_rules import without_effect
from stress.kernel.proc import shows_nothing
from stress.operation import READS
from stress.report.color import painted
from stress.report.fitted import fitted, fitted_text
from stress.report.words import plural
from stress.run_failure import FORMAT
from stress.workers.loop import block
from stress.workers.pool import Pool
from stress.workers.records import Result, Shown, Truth, Usage, Verdict


def head(pool: Pool, seed: int) -> str:
    """Return the first line: what is run on what."""
    machine = pool.machine
    if not pool.design.machine.has_mms:
        return fitted_text(f"design {pool.design.name}, {plural(pool.workers, 'worker')}, seed {seed}")
    files = machine.private_file + machine.shared_file
    pages = f"{machine.anon:,} pages" + (f", {files:,} of a file" if files else "")
    if machine.mms > 1 and machine.child_ptes < machine.ptes:
        pages += f" (the last {machine.child_ptes:,} in children)"
    where = ", frames above 4 GiB" if machine.arch == "pae" and machine.above_4g else ""
    return fitted_text(
        f"design {pool.design.name}, arch {machine.arch}{where}, placement {pool.layout.placement.name}, "
        f"{plural(pool.workers, 'worker')}, {pages}, seed {seed}"
    )


def operations_table(result: Result, style: str) -> str:
    """Return the operations by kind: how many, how many a second, how long one took in its worker."""
    rows = [(name, n, n / result.seconds, result.ns[name]) for name, n in result.ops.items()]
    rows.append(("all", result.operations, result.per_second, None))
    headers = ("operation", "count", "per second", "ns each")
    return fitted(rows, headers, style=style, intfmt=",", floatfmt=",.0f")


def faults_line(result: Result) -> str:
    """Return how many faults there were of each kind, in a line."""
    kinds = ", ".join(f"{n:,} {kind}" for kind, n in result.faults.items())
    return fitted_text(f"faults that had an effect: {kinds or 'none'}")


def verdicts_table(verdicts: Sequence[Verdict], style: str) -> str:
    """Return the verdicts of the checks as a table."""
    rows = [(v.name, "holds" if v.ok else "BROKEN", v.detail) for v in verdicts]
    return painted(fitted(rows, ("check", "verdict", "detail"), style=style))


def usage_line(result: Result, usage: Sequence[Usage], segment_bytes: int) -> str:
    """Return what the worker processes took in the run, and the memory that they have, as psutil says."""
    own = max(u.uss for u in usage) / (1 << 20)
    pids = ", ".join(str(u.pid) for u in usage[:8]) + (", ..." if len(usage) > 8 else "")
    processes = plural(len(usage), "worker process", "worker processes")
    return fitted_text(
        f"{processes} (pids {pids}): {result.user:.1f} s user, {result.system:.1f} s system, "
        f"{own:.0f} MiB of its own each; segment {segment_bytes / (1 << 20):,.1f} MiB"
    )


def text(pool: Pool, result: Result, verdicts: Sequence[Verdict], style: str) -> str:
    """Return all that is printed after the head."""
    return "\n".join(
        (
            operations_table(result, style),
            *([faults_line(result)] if pool.design.machine.has_mms else []),
            usage_line(result, pool.usage(), pool.memory.nbytes),
            "",
            verdicts_table(verdicts, style),
            *map(fitted_text, looked_at_nothing(pool, result)),
        )
    )


def looked_at_nothing(pool: Pool, result: Result) -> list[str]:
    """Say which operations gave the checks nothing to look at, in a sentence each."""
    performed = [name for name, count in result.ops.items() if count]
    shown = int(np.bitwise_or.reduce(pool.column(block.SHOWN_BY), axis=None))
    silent = [name for name in READS if name in performed and not shown >> pool.numbers[name] & 1]
    return [*map(shows_nothing, silent), *without_effect(pool.design, performed)]


def as_json(  # noqa: PLR0917
    pool: Pool, seed: int, result: Result, verdicts: Sequence[Verdict], read: Shown | None, true: Truth | None
) -> dict[str, Any]:
    """Return the object that --json prints. Counts of mm 0; null where the machine did not come to rest."""
    return {
        "design": pool.design.name,
        "arch": pool.machine.arch,
        "workers": pool.workers,
        "seconds": result.seconds,
        "seed": seed,
        "ops": dict(result.ops),
        "ops_per_second": result.per_second,
        "rss": {"read": read and read.resident, "true": true and true.resident},
        "anon_rss": {"read": read and read.anon, "true": true and true.anon},
        "checks": [asdict(v) for v in verdicts],
        "ok": all(v.ok for v in verdicts),
        **({"notes": notes} if (notes := looked_at_nothing(pool, result)) else {}),
    }


def failed_json(pool: Pool, seed: int, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the object that --json prints of a run that a failed assertion ended: no figures, and its verdict."""
    return {
        "design": pool.design.name,
        "arch": pool.machine.arch,
        "workers": pool.workers,
        "seed": seed,
        "checks": [asdict(v) for v in verdicts],
        "ok": False,
    }


def failure(  # noqa: PLR0917
    pool: Pool,
    named: str,
    seed: int,
    mix: Mapping[str, float],
    verdicts: Sequence[Verdict],
    command: Sequence[str],
) -> dict[str, Any]:
    """Return what --save writes of a failed run: what it takes to look for a small counterexample.

    ``named`` is the design as the user named it, ``command`` what repeats the run. ``under_way`` are the operations at
    the moment when a worker first saw a check broken; it is empty for what only shows at rest.
    """
    return {
        "format": FORMAT,
        "command": list(command),
        "design": named,
        "arch": pool.machine.arch,
        "machine": asdict(pool.machine),
        "placement": pool.layout.placement.name,
        "workers": pool.workers,
        "seed": seed,
        "mix": dict(mix),
        "checks": [asdict(v) for v in verdicts if not v.ok],
        "under_way": pool.under_way(),
    }
