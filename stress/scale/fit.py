"""The fit of the 2004 machine to the published tables of 16 and 32 GiB: five parameters, up to 128 threads.

Least squares on the logarithms of faults per wall second and of System, by Gauss and Newton; derivatives are taken by
simulating again with one parameter changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray

from stress import designs
from stress.report.published import Published, published_2004
from stress.scale.machine import ScaleMachine
from stress.scale.table_2004 import RAN, Predicted, free_ns, predict, thread_ns

PARAMETERS: Mapping[str, str] = {
    "hop_ns": "what each level adds to the cost of a line",
    "read_busy_ns": "how long one more reader occupies a shared line",
    "near_ns": "a page cleared in the memory of the own node",
    "far_ns": "a page cleared elsewhere",
    "node_gib": "GiB of a node",
}
"""What is fitted, and what it is."""

FITTED = ("page_table_lock", "v12_list_rss")
"""Tables that are fitted to. The third has a prefault patch applied, which is no part of the model."""
DESIGNS: Mapping[str, str] = {
    "page_table_lock": "page_table_lock",
    "v12_list_rss": "v12",
    "v11_sloppy_rss_prefault": "v11_sloppy",
}
"""The design that stands for each published table."""

FAULTS = 4_000
"""Faults that are simulated for a row while fitting."""
ROUNDS = 12
STEP = 0.1
"""By how much a parameter is changed for its derivative."""

Values = dict[str, float]


def values_of(machine: ScaleMachine) -> Values:
    """The five parameters as a machine has them."""
    levels, memory, page = machine.levels, machine.memory, machine.fault.page_bytes
    return {
        "hop_ns": (levels[-1].ns - levels[0].ns) / max(len(levels) - 1, 1),
        "read_busy_ns": machine.line.read_busy_ns,
        "near_ns": page / memory.near_gb_s,
        "far_ns": page / memory.far_gb_s,
        "node_gib": memory.node_gib,
    }


def with_values(machine: ScaleMachine, values: Values) -> ScaleMachine:
    """The machine with these parameters."""
    page = machine.fault.page_bytes
    first = machine.levels[0].ns
    levels = tuple(replace(level, ns=first + number * values["hop_ns"]) for number, level in enumerate(machine.levels))
    line = replace(machine.line, read_busy_ns=values["read_busy_ns"])
    memory = replace(
        machine.memory,
        near_gb_s=page / values["near_ns"],
        far_gb_s=page / values["far_ns"],
        node_gib=values["node_gib"],
    )
    return replace(machine, levels=levels, line=line, memory=memory)


def read_off(machine: ScaleMachine, rows: Sequence[Published]) -> ScaleMachine:
    """The machine with what is read off the tables by arithmetic: the start of a thread, freeing a page."""
    return replace(machine, process=replace(machine.process, thread_ns=thread_ns(rows), free_ns=free_ns(rows)))


@dataclass(frozen=True)
class Residual:
    """A row and what was simulated for it: relative errors of faults per wall second and of System."""

    row: Published
    predicted: Predicted

    @property
    def rate(self) -> float:
        """0.1 where the simulation is 10 % faster."""
        return self.predicted.per_wall_s / self.row.faults_per_wall_s - 1

    @property
    def system(self) -> float:
        """0.1 where the simulation spends 10 % more."""
        return self.predicted.system_s / self.row.system_s - 1


def fitted_rows() -> list[Published]:
    """The rows that are fitted to."""
    return [row for row in published_2004() if row.design in FITTED and row.threads <= RAN]


def residuals(
    machine: ScaleMachine, rows: Sequence[Published], faults: int | None = FAULTS, seed: int = 1
) -> list[Residual]:
    """Simulate rows of up to `RAN` threads."""
    return [
        Residual(
            row,
            predict(
                designs.get(DESIGNS[row.design]),
                machine,
                gb=row.gb,
                rep=row.rep,
                threads=row.threads,
                faults=faults,
                seed=seed,
            ),
        )
        for row in rows
    ]


def _logs(found: Sequence[Residual]) -> NDArray[np.float64]:
    return np.log1p([error for residual in found for error in (residual.rate, residual.system)])


def _robust(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights by Huber: rows that nothing explains do not bend the others."""
    scale = 0.05
    size = np.abs(errors)
    return np.where(size <= scale, 1.0, scale / np.maximum(size, scale))


def fit(
    start: ScaleMachine,
    rows: Sequence[Published],
    told: Callable[[int, float], None] = lambda round_, error: None,
    seed: int = 1,
) -> ScaleMachine:
    """Fit the five parameters to rows. ``told`` is given the round and the median relative error of the rate."""
    names = list(PARAMETERS)
    point = np.log([values_of(start)[name] for name in names])

    def at(x: NDArray[np.float64]) -> list[Residual]:
        values = dict(zip(names, map(float, np.exp(x)), strict=True))
        return residuals(with_values(start, values), rows, seed=seed)

    def loss(errors: NDArray[np.float64]) -> float:
        size = np.abs(errors)
        return float(np.sum(np.where(size <= 0.05, size**2, 0.1 * size - 0.0025)))

    found = at(point)
    errors, damping = _logs(found), 1e-3
    for round_ in range(ROUNDS):
        told(round_, median(abs(residual.rate) for residual in found))
        columns = []
        for i in range(len(names)):
            moved = point.copy()
            moved[i] += STEP
            columns.append((_logs(at(moved)) - errors) / STEP)
        jacobian, weights = np.stack(columns, axis=1), _robust(errors)
        squares = jacobian.T @ (weights[:, None] * jacobian)
        slope = jacobian.T @ (weights * errors)
        while damping < 1e3:
            step = -np.linalg.solve(squares + damping * np.diag(np.diag(squares) + 1e-9), slope)
            step = np.clip(step, -0.5, 0.5)
            tried = at(point + step)
            if loss(_logs(tried)) < loss(errors):
                break
            damping *= 5
        else:
            break
        point, found, damping = point + step, tried, damping / 5
        before, errors = errors, _logs(tried)
        if loss(before) - loss(errors) < 0.01 * loss(before):
            break
    return with_values(start, dict(zip(names, map(float, np.exp(point)), strict=True)))
