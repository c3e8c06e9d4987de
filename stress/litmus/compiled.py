"""How functions of the search are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

_F = TypeVar("_F", bound=Callable[..., Any])
_numba: Any = numba  # its stubs do not know the options
_njit = _numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy")


def compiled(function: _F) -> _F:
    """Decorate a function that compiled code calls; its machine code is kept on disk with what calls it."""
    made: _F = _njit(function)
    return made
