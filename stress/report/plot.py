"""Pictures by matplotlib, an optional extra: axes with units, readable in black and white."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from textwrap import fill
from typing import Any

from shm_layout.errors import UsageError
from stress.report.published import SOURCE_2004, published_2004
from stress.system.writing import write_file

SUFFIXES = (".png", ".svg")
_MARKERS = "osv^Dx+*<>"
_LINES = ("-", "--", "-.", ":")
_GREYS = ("0.0", "0.35", "0.55")


def check_plot_file(path: Path) -> None:
    """Raise `UsageError` when a picture cannot be drawn into this file."""
    if path.suffix not in SUFFIXES:
        raise UsageError(f"--plot {path}: give a file that ends in {' or '.join(SUFFIXES)}")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--plot {path}: no such folder; make it first")
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("--plot needs matplotlib: install pte-stress[plot]")


@dataclass(frozen=True)
class Panel:
    """One set of axes. ``curves``: y by x, by name. ``log_y``: both axes are logarithmic, else x alone."""

    title: str
    x: str
    y: str
    curves: Mapping[str, Mapping[float, float]]
    log_y: bool = True


def _styles() -> Callable[[], dict[str, Any]]:
    """Styles that differ without colour: marker, line and grey."""
    turns = zip(itertools.cycle(_MARKERS), itertools.cycle(_LINES), itertools.cycle(_GREYS), strict=False)

    def style() -> dict[str, Any]:
        marker, line, grey = next(turns)
        return {"marker": marker, "linestyle": line, "color": grey, "markerfacecolor": "white", "markersize": 5}

    return style


def draw(path: Path, panels: Sequence[Panel], note: str) -> None:
    """Draw the panels side by side into a file, with a note below. A name has the same style in all panels."""
    from matplotlib.figure import Figure  # no pyplot: nothing opens a window

    figure = Figure(figsize=(6 * len(panels), 5.2), layout="constrained")
    style = _styles()
    styles: dict[str, dict[str, Any]] = {}
    for place, panel in enumerate(panels):
        axes: Any = figure.add_subplot(1, len(panels), place + 1)
        for name, curve in panel.curves.items():
            styles.setdefault(name, style())
            points = sorted(curve.items())
            axes.plot([x for x, _ in points], [y for _, y in points], label=name, **styles[name])
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        if panel.log_y:
            zeros = any(0 in curve.values() for curve in panel.curves.values())
            axes.set_yscale("symlog" if zeros else "log")
            if zeros:
                axes.set_ylim(bottom=-0.2)
        axes.set_title(panel.title)
        axes.set_xlabel(panel.x)
        axes.set_ylabel(panel.y)
        axes.grid(visible=True, color="0.85")
        axes.legend(fontsize="small")
    figure.supxlabel(fill(note, 80 * len(panels)), fontsize="small")
    picture = BytesIO()
    figure.savefig(picture, format=path.suffix.removeprefix("."))
    write_file("--plot", path, picture.getvalue())


def draw_table(path: Path, ours: Mapping[str, Mapping[int, float]], title: str, machine: str) -> None:
    """Draw faults a second against workers, by design, and the curves of 2004 for comparison, labelled as theirs.

    ``ours``: faults a second of all workers together, by design and number of workers. ``machine`` says in a few
    words what ours were measured on.
    """
    theirs: dict[str, dict[float, float]] = {}
    for row in published_2004():
        curve = theirs.setdefault(f"{row.design} (published 2004)", {})
        curve[row.threads] = row.faults_per_wall_s
    curves: dict[str, Mapping[float, float]] = {
        name: {float(workers): rate for workers, rate in curve.items()} for name, curve in ours.items()
    }
    panel = Panel(title, "workers, threads", "faults per second, all together", {**curves, **theirs})
    draw(path, [panel], f"ours: {machine}; published: {SOURCE_2004}")
