"""What a point of the review that asks for numbers is: data, and how to get them."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measured:
    """``rows`` of a table, each a mapping of the same columns; units are in the columns' names.

    ``says``: what it comes to, in sentences. ``ok`` is False when something that must hold did not, and then
    ``says`` says what, a sentence each. ``simulated``: rows of a second table, of machines that are not at hand.
    """

    rows: tuple[dict[str, Any], ...]
    says: tuple[str, ...]
    ok: bool = True
    simulated: tuple[dict[str, Any], ...] = ()
    spread: tuple[dict[str, Any], ...] = ()
    """For each measured figure its runs, median, minimum and maximum, and what is shown (`stress.report.spread`)."""


@dataclass(frozen=True)
class Measurement:
    """``id`` of the finding, its ``title``, and the ``question`` that the review asks, in our own words.

    ``measure(effort, seed)`` takes some seconds with ``effort`` 1, and as many times longer or shorter. One that
    ``takes_counters`` is given those of the user's own, too, as ``own``, and measures them beside the others.
    """

    id: str
    title: str
    question: str
    measure: Callable[..., Measured]
    takes_counters: bool = False


_FILE = re.compile(r"measure_f\d\d")


def measurement_ids() -> list[str]:
    """Return the ids of all findings that are measured, in order."""
    import stress.findings

    names = (i.name for i in pkgutil.iter_modules(stress.findings.__path__) if _FILE.fullmatch(i.name))
    return sorted(name.removeprefix("measure_").upper() for name in names)


def get_measurement(identifier: str) -> Measurement:
    """Return the measurement of that id. Raises `KeyError` when there is none."""
    if identifier.upper() not in measurement_ids():
        raise KeyError(identifier)
    module = importlib.import_module(f"stress.findings.measure_{identifier.lower()}")
    found = module.MEASUREMENT
    assert isinstance(found, Measurement)
    return found
