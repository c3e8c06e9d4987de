"""pte-stress: stress, explore and measure page-fault paths and resident-set counters.

What a design of your own is written with can be imported from here::

    from stress import NEXT, Design, Program, Workload, explore, step

Each name is looked up when it is first used: importing this package imports nothing else, and neither numba nor numpy
is imported before something is explored or run. `stress.step` and `stress.explore` are also modules, with more in them.
Such a module can be called as the function of its name.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stress.design import Bound as Bound
    from stress.design import Design as Design
    from stress.explore import explore as explore
    from stress.program import At as At
    from stress.program import Goto as Goto
    from stress.program import Program as Program
    from stress.step import DONE as DONE
    from stress.step import NEXT as NEXT
    from stress.step import WAIT as WAIT
    from stress.step import helper as helper
    from stress.step import label as label
    from stress.step import step as step
    from stress.workload import Workload as Workload

__version__ = "0.1.0"

_MODULES = {
    "stress.design": ("Bound", "Design"),
    "stress.program": ("At", "Goto", "Program"),
    "stress.step": ("DONE", "NEXT", "WAIT", "helper", "label"),
    "stress.workload": ("Workload",),
}
_WHERE = {name: module for module, names in _MODULES.items() for name in names}
_CALLED = ("explore", "step")
"""Modules that can be called as the function of their name, see `stress.system.callable_module`."""

__all__ = [
    "DONE",
    "NEXT",
    "WAIT",
    "At",
    "Bound",
    "Design",
    "Goto",
    "Program",
    "Workload",
    "explore",
    "helper",
    "label",
    "step",
]


def __getattr__(name: str) -> object:
    """Import a name of this face when it is first used."""
    if name in _CALLED:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the names of the face beside those that were imported already."""
    return sorted({*globals(), *__all__})
