"""How good the fit of the 2004 machine is: residuals, what each parameter does, and each size left out in turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from stress import designs
from stress.report.published import Published, published_2004
from stress.scale.fit import (
    DESIGNS,
    PARAMETERS,
    Residual,
    Values,
    fit,
    fitted_rows,
    read_off,
    residuals,
    values_of,
    with_values,
)
from stress.scale.machine import ScaleMachine
from stress.scale.table_2004 import RAN, as_published

MOVED = 0.2
"""By how much a parameter is moved to see what it does."""
MOVES = 0.1
"""A parameter that moves the root of the mean square error by less than this share of it is not identified."""
UNEXPLAINED = 0.15
"""Relative error from which a row is named."""


@dataclass(frozen=True)
class Judged:
    """``machine`` as fitted to ``rows``; ``others``: rows that were not fitted to. ``left_out``: the median and worst
    error of the rate on the rows of a size, in GiB, when only the other size was fitted to. ``moved``: the root of the
    mean square error with each parameter 20 % less and more.
    """

    machine: ScaleMachine
    rows: list[Residual]
    others: list[Residual]
    left_out: dict[int, tuple[float, float]]
    moved: dict[str, tuple[float, float]]

    def parameter_rows(self) -> list[dict[str, Any]]:
        """The parameters as rows of a table."""
        values, here = values_of(self.machine), spread(self.rows)
        rows = []
        for name, what in PARAMETERS.items():
            less, more = self.moved[name]
            row: dict[str, Any] = {"parameter": name, "what": what, "value": round(values[name], 1)}
            row |= {"error, %": round(100 * here, 2), "20 % less, %": round(100 * less, 2)}
            row |= {"20 % more, %": round(100 * more, 2), "identified": "yes" if identified(here, less, more) else "no"}
            rows.append(row)
        return rows

    def residual_rows(self) -> list[dict[str, Any]]:
        """Published and simulated rows as rows of a table."""
        return [
            {
                "design": r.row.design,
                "GiB": r.row.gb,
                "threads": r.row.threads,
                "published, faults/s": round(r.row.faults_per_wall_s),
                "simulated": round(r.predicted.per_wall_s),
                "error, %": round(100 * r.rate, 1),
                "System, s": round(r.row.system_s),
                "System simulated": round(r.predicted.system_s),
                "System error, %": round(100 * r.system, 1),
                "fitted": "yes" if r in self.rows else "no",
            }
            for r in [*self.rows, *self.others]
        ]

    def says(self) -> list[str]:
        """What it comes to, in sentences."""
        rate = [abs(r.rate) for r in self.rows]
        system = [abs(r.system) for r in self.rows]
        posted = [
            abs(r.rate)
            for r in self.others
            if r.row.threads > RAN and r.row.design in {f.row.design for f in self.rows}
        ]
        prefault = [abs(r.rate) for r in self.others if r.row.design.startswith("v11")]
        named = [f"{r.row.design} {r.row.gb} GiB {r.row.threads}" for r in [*self.rows, *self.others] if _is_far(r)]
        return [
            f"Fitted, up to {RAN} threads: faults a wall second off by {median(rate):.1%} (median),"
            f" {max(rate):.1%} (worst);"
            f" System by {median(system):.1%}, {max(system):.1%}.",
            f"Not fitted, as published beyond {RAN} threads: {median(posted):.1%}, {max(posted):.1%}.",
            "Not fitted, V11 with prefault, a fault taken to map two pages:"
            f" {median(prefault):.1%}, {max(prefault):.1%}.",
            *(
                f"{gb} GiB left out of the fit and predicted: {middle:.1%} (median), {worst:.1%} (worst)."
                for gb, (middle, worst) in self.left_out.items()
            ),
            f"Off by more than {UNEXPLAINED:.0%}, and left so: {'; '.join(named) or 'none'}.",
        ]

    def as_object(self) -> dict[str, Any]:
        """All of it for JSON."""
        return {
            "parameters": self.parameter_rows(),
            "rows": self.residual_rows(),
            "left_out": {str(gb): {"median": m, "worst": w} for gb, (m, w) in self.left_out.items()},
            "says": self.says(),
        }

    def curves(self) -> dict[str, dict[float, float]]:
        """Faults a wall second by threads, published and simulated, up to `RAN` threads."""
        found: dict[str, dict[float, float]] = {}
        for r in self.rows:
            name, n = f"{r.row.design}, {r.row.gb} GiB", float(r.row.threads)
            found.setdefault(f"{name}, published", {})[n] = r.row.faults_per_wall_s
            found.setdefault(f"{name}, simulated", {})[n] = r.predicted.per_wall_s
        return found


def _is_far(residual: Residual) -> bool:
    return max(abs(residual.rate), abs(residual.system)) > UNEXPLAINED


def spread(found: list[Residual]) -> float:
    """The root of the mean square of all relative errors."""
    return float(np.sqrt(np.mean([e**2 for r in found for e in (r.rate, r.system)])))


def identified(here: float, less: float, more: float) -> bool:
    """Whether moving a parameter either way makes the error clearly worse."""
    return min(less, more) > here * (1 + MOVES)


def _moved(machine: ScaleMachine, name: str, by: float, rows: list[Published], seed: int) -> float:
    values: Values = values_of(machine)
    values[name] *= 1 + by
    return spread(residuals(with_values(machine, values), rows, seed=seed))


def judge(start: ScaleMachine, say: Callable[[str], None], seed: int = 1) -> Judged:
    """Fit, and judge the fit. ``say`` is told what is going on."""
    every, rows = published_2004(), fitted_rows()
    start = read_off(start, every)
    say(f"fitting {len(PARAMETERS)} parameters to {len(rows)} rows ...")
    machine = fit(start, rows, lambda n, error: say(f"round {n}: median error {error:.1%}"), seed)
    left_out = {}
    for gb in sorted({row.gb for row in rows}):
        say(f"fitting without {gb} GiB ...")
        other = fit(start, [row for row in rows if row.gb != gb], seed=seed)
        errors = [abs(r.rate) for r in residuals(other, [row for row in rows if row.gb == gb], seed=seed)]
        left_out[gb] = (median(errors), max(errors))
    others = [
        Residual(
            row,
            as_published(
                designs.get(DESIGNS[row.design]), machine, gb=row.gb, rep=row.rep, threads=row.threads, seed=seed
            ),
        )
        for row in every
        if row not in rows
    ]
    moved = {
        name: (_moved(machine, name, -MOVED, rows, seed), _moved(machine, name, MOVED, rows, seed))
        for name in PARAMETERS
    }
    return Judged(machine, residuals(machine, rows, faults=None, seed=seed), others, left_out, moved)
