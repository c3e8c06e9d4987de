"""The figures of a run: every number that its objects have, each with a name, and two runs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stress.results.store import Run

NAMES = ("name", "id", "counter", "design", "test", "interface", "check", "workload", "workers", "cpus")
"""Keys by which an element of a list is called, if it has one: the first of them; else its place."""


LEFT_OUT = ("about", "steps")
"""Keys whose numbers are no figures: what made an output, and the steps of a counterexample."""


def figures(run: Run) -> dict[str, float]:
    """Return the numbers of all objects of a run, by name.

    >>> figures(Run(1, {}, ({"counters": [{"name": "list", "read_ns": {"16": 57.0}}], "about": {"seed": 1}},)))
    {'counters[list].read_ns.16': 57.0}
    """
    found: dict[str, float] = {}
    several = len(run.objects) > 1
    for place, each in enumerate(run.objects):
        begin = f"[{_called(each, place)}]" if several else ""
        for name, value in _numbers(each, begin):
            found.setdefault(name, value)
    return found


def _numbers(value: Any, name: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return
    if isinstance(value, (int, float)):
        yield name, float(value)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if key not in LEFT_OUT:
                yield from _numbers(each, f"{name}.{key}" if name else key)
    else:
        for place, each in enumerate(value):
            yield from _numbers(each, f"{name}[{_called(each, place)}]")


def _called(value: Any, place: int) -> str:
    if isinstance(value, Mapping):
        return next((str(value[key]) for key in NAMES if key in value), str(place))
    return str(place)


def compared(one: Run, other: Run) -> list[dict[str, Any]]:
    """Return a row for each figure in which two runs differ: its values, None where a run has none, and their ratio.

    >>> one, other = Run(1, {}, ({"rate": 2.0, "cpus": 2},)), Run(2, {}, ({"rate": 3.0, "cpus": 2},))
    >>> compared(one, other)
    [{'figure': 'rate', 'first': 2.0, 'second': 3.0, 'ratio': 1.5}]
    """
    mine, its = figures(one), figures(other)
    rows = []
    for name in dict.fromkeys((*mine, *its)):
        first, second = mine.get(name), its.get(name)
        if first == second:
            continue
        ratio = second / first if first and second is not None else None
        rows.append({"figure": name, "first": first, "second": second, "ratio": ratio})
    return rows
