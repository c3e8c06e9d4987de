"""Draw pictures with matplotlib, an optional extra: axes with units, readable in black and white."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from textwrap import fill
from typing import Any
from xml.etree import ElementTree

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
    """One set of axes. ``curves``: y by x, by name. ``log_x``, ``log_y``: whether an axis is logarithmic."""

    title: str
    x: str
    y: str
    curves: Mapping[str, Mapping[float, float]]
    log_y: bool = True
    log_x: bool = True


@dataclass(frozen=True)
class Bars:
    """One set of axes with a bar for each name, from the top down. ``x``: what their length is, with its unit."""

    title: str
    x: str
    values: Mapping[str, float]


def _styles() -> Callable[[], dict[str, Any]]:
    """Styles that differ without colour: marker, line and grey."""
    turns = zip(itertools.cycle(_MARKERS), itertools.cycle(_LINES), itertools.cycle(_GREYS), strict=False)

    def style() -> dict[str, Any]:
        marker, line, grey = next(turns)
        return {"marker": marker, "linestyle": line, "color": grey, "markerfacecolor": "white", "markersize": 5}

    return style


def draw(path: Path, panels: Sequence[Panel], note: str) -> None:
    """Draw the panels side by side into a file, with a note below. A name has the same style in all panels."""
    figure = _figure(panels)
    figure.supxlabel(fill(note, 80 * len(panels)), fontsize="small")
    picture = BytesIO()
    figure.savefig(picture, format=path.suffix.removeprefix("."))
    write_file("--plot", path, picture.getvalue())


def _figure(panels: Sequence[Panel | Bars]) -> Any:
    """The panels side by side. The points of a curve are an element of their own, which its panel and name find."""
    from matplotlib.figure import Figure  # no pyplot: nothing opens a window

    figure = Figure(figsize=(6 * len(panels), 5.2), layout="constrained")
    style = _styles()
    styles: dict[str, dict[str, Any]] = {}
    for place, panel in enumerate(panels):
        axes: Any = figure.add_subplot(1, len(panels), place + 1)
        axes.set_title(panel.title)
        if isinstance(panel, Bars):
            _draw_bars(axes, place, panel)
            continue
        for number, (name, curve) in enumerate(panel.curves.items()):
            styles.setdefault(name, style())
            points = sorted(curve.items())
            (line,) = axes.plot([x for x, _ in points], [y for _, y in points], label=name, **styles[name])
            line.set_gid(_mark(place, number))
        if panel.log_x:
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter("{x:g}")
        if panel.log_y:
            zeros = any(0 in curve.values() for curve in panel.curves.values())
            axes.set_yscale("symlog" if zeros else "log")
            if zeros:
                axes.set_ylim(bottom=-0.2)
        axes.set_xlabel(panel.x)
        axes.set_ylabel(panel.y)
        axes.grid(visible=True, color="0.85")
        axes.legend(fontsize="small")
    return figure


def _draw_bars(axes: Any, place: int, panel: Bars) -> None:
    values = list(panel.values.values())
    bars = axes.barh(list(panel.values), values, color=_GREYS[1], height=0.6)
    for number, bar in enumerate(bars):
        bar.set_gid(_mark(place, number))
    axes.bar_label(bars, labels=[f"{value:,.4g}" for value in values], padding=3)
    axes.margins(x=0.2)
    axes.invert_yaxis()
    if max(values, default=0) > 1000 * min((v for v in values if v > 0), default=1):
        axes.set_xscale("symlog")
    axes.set_xlabel(panel.x)
    axes.grid(visible=True, axis="x", color="0.85")
    axes.set_axisbelow(True)


def _mark(panel: int, curve: int) -> str:
    return f"curve-{panel}-{curve}"


_SVG, _LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_INKS = {
    "#000000": "currentColor",
    "#ffffff": "none",
    "#595959": "#7d7d7d",
    "#8c8c8c": "#9a9a9a",
    "#d9d9d9": "#99999955",
}
"""Colours of a picture for paper, and what they are on a page that may be dark."""


def svg(panels: Sequence[Panel | Bars], says: str) -> str:
    """The panels as the text of an SVG within a page. Over a point its values are shown; ``says`` is the description.

    It takes on the text colour of the page. Raises `UsageError` where matplotlib is missing.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("pictures need matplotlib: install pte-stress[plot]")
    from matplotlib import rc_context

    picture = BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": says, "font.family": "sans-serif"}):
        _figure(panels).savefig(picture, format="svg", metadata=_NO_METADATA, transparent=True)
    for prefix, space in (("", _SVG), ("xlink", _LINK)):
        ElementTree.register_namespace(prefix, space)
    root = ElementTree.fromstring(picture.getvalue())
    root.set("role", "img")
    root.set("aria-label", says)
    for attribute in ("width", "height"):
        root.attrib.pop(attribute, None)
    root.set("style", f"width: {_INCHES * len(panels)}rem")
    for place, panel in enumerate(panels):
        if isinstance(panel, Bars):
            for number, (name, value) in enumerate(panel.values.items()):
                for group in root.iterfind(f".//{{{_SVG}}}g[@id='{_mark(place, number)}']"):
                    group.insert(0, _title(f"{name}: {value:,.6g} ({panel.x})"))
            continue
        for number, (name, curve) in enumerate(panel.curves.items()):
            _title_points(root, _mark(place, number), panel, name, curve)
    text = ElementTree.tostring(root, encoding="unicode")
    for ink, on_page in _INKS.items():
        text = text.replace(ink, on_page)
    return _own_names(text, hashlib.sha256(text.encode()).hexdigest()[:8])


_INCHES = 30
"""Width of a panel on a page, in letters (rem)."""
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def _title_points(root: Any, mark: str, panel: Panel, name: str, curve: Mapping[float, float]) -> None:
    """Give each point of a curve a title, which browsers show when the mouse is over it."""
    group = root.find(f".//{{{_SVG}}}g[@id='{mark}']")
    points = [] if group is None else group.findall(f".//{{{_SVG}}}use")
    for use, (x, y) in zip(points, sorted(curve.items()), strict=False):
        use.append(_title(f"{name}: {y:,.6g} ({panel.y}) at {x:,.6g} ({panel.x})"))


def _title(text: str) -> Any:
    title = ElementTree.Element(f"{{{_SVG}}}title")
    title.text = text
    return title


def _own_names(text: str, name: str) -> str:
    """Names of elements are of a whole page: let those of one picture begin with its own name."""
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)


def draw_table(path: Path, ours: Mapping[str, Mapping[int, float]], title: str, machine: str) -> None:
    """Draw faults a second against workers, by design, and the curves of 2004 for comparison, labelled as theirs.

    ``ours``: faults a second of all workers together, by design and number of workers. ``machine`` says in a few
    words what ours were measured on.
    """
    draw(path, [table_panel(ours, title)], f"ours: {machine}; published: {SOURCE_2004}")


def table_panel(ours: Mapping[str, Mapping[int, float]], title: str) -> Panel:
    """Faults a second against workers: ours by design, and the curves of 2004."""
    theirs: dict[str, dict[float, float]] = {}
    for row in published_2004():
        curve = theirs.setdefault(f"{row.design} (published 2004)", {})
        curve[row.threads] = row.faults_per_wall_s
    curves: dict[str, Mapping[float, float]] = {
        name: {float(workers): rate for workers, rate in curve.items()} for name, curve in ours.items()
    }
    return Panel(title, "workers, threads", "faults per second, all together", {**curves, **theirs})
