"""Simulated figures beside measured ones: what designs do on machines that nobody has at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stress.design import Design
from stress.findings.fault_rates import million, ratio
from stress.report.plot import Panel

MACHINES: Mapping[str, tuple[int, ...]] = {"2004": (1, 8, 64, 512), "2026": (1, 32, 384)}
"""Machines, and the numbers of CPUs that are shown with effort 1 and more."""
FEW = 16
"""With less effort up to so many CPUs only."""
FAULTS = 4_000
"""Faults that are simulated for a figure with less effort; the simulator's own number otherwise."""


def simulated_rates(
    chosen: Mapping[str, Design],
    *,
    effort: float,
    seed: int,
    kind: str = "anon-write",
    placement: str = "posted",
    readers: int = 0,
    **labels: str,
) -> list[dict[str, Any]]:
    """Simulate designs side by side: a row for each machine and number of CPUs, with all rates in millions a second.

    The last column is the ratio of the last design to the first. ``readers``: CPUs that read statm meanwhile.
    ``labels``: further columns, the same in all rows.
    """
    from stress.scale.machine import get_machine
    from stress.scale.simulation import Given, simulate

    rows = []
    for name, numbers in MACHINES.items():
        machine = get_machine(name)
        for cpus in numbers if effort >= 1 else [n for n in numbers if n <= FEW]:
            given = Given(
                cpus - readers if cpus == machine.cpus else cpus,
                faults=None if effort >= 1 else FAULTS,
                kind=kind,
                placement=placement,
                readers=readers,
                seed=seed,
            )
            found = {key: simulate(design, machine, given) for key, design in chosen.items()}
            row: dict[str, Any] = {**labels, "machine": name, "CPUs": given.cpus}
            row |= {f"{key}{RATE}": million(result.per_second) for key, result in found.items()}
            first, last = next(iter(found)), list(found)[-1]
            row[f"{last} / {first}"] = ratio(found[last].per_second, found[first].per_second)
            if readers:
                row |= {f"{key}, read, us": round(result.read_ns / 1000, 1) for key, result in found.items()}
            rows.append(row)
    return rows


RATE = ", M/s"
"""How the name of a column with rates ends."""


def panels(rows: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """The rates of rows of `simulated_rates` over the number of CPUs: axes for each machine, a curve for each design.

    Where rows have further labels, a design has a curve for each. Rows without rates have no panel.
    """
    curves: dict[str, dict[str, dict[float, float]]] = {}
    for row in rows:
        labels = [value for name, value in row.items() if name != "machine" and isinstance(value, str)]
        of_machine = curves.setdefault(row["machine"], {})
        for name in row:
            if name.endswith(RATE):
                curve = of_machine.setdefault(", ".join((name.removesuffix(RATE), *labels)), {})
                curve[row["CPUs"]] = 1e6 * row[name]
    y = "faults per second, all together"
    return [Panel(f"simulated, machine {machine}", "CPUs", y, found) for machine, found in curves.items() if found]


def most_cpus(rows: list[dict[str, Any]]) -> str:
    """Say in a sentence what the last column comes to by number of CPUs."""
    column = list(rows[0])[-1]
    found = ", ".join(f"{row[column]} with {row['CPUs']} of {row['machine']}" for row in rows)
    return f"simulated, {column}: {found} (2004 within 15 % up to 128 CPUs; 2026 assumed)"
