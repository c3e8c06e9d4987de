"""Modules that can be called as the function of their name.

`stress.step` is a module with a function `step` in it, and so is `stress.explore`. Once such a module has been
imported, Python makes it an attribute of the package, and ``from stress import step`` gives the module, whatever the
package says. A module that can be called is what the caller means either way.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class CallableModule(ModuleType):
    """A module that hands a call on to its function of the module's own name."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Call that function."""
        return getattr(self, self.__name__.rpartition(".")[2])(*args, **options)


def make_callable(name: str) -> None:
    """Let the module of this name be called: ``make_callable(__name__)`` at its end.

    >>> import stress.step
    >>> @stress.step(private=True)
    ... def nothing(m, r):
    ...     return stress.step.NEXT
    """
    sys.modules[name].__class__ = CallableModule
