"""Machine code on disk that several processes may write at once.

Numba keeps an index of a function's signatures beside the code of each. To add one it reads the index, takes the next
free number and writes index and code, without a lock: of two processes that add different signatures at once both
take the same number, and what stays is an index that names the other one's code for good (seen with Numba 0.68;
its issue 10128 is of the same kind). Several signatures are common, since Numba compiles for each literal argument.

Importing this module imports numba.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import FunctionCache


class _LockedCache(FunctionCache):
    """One process at a time adds to the functions that share a folder. Those who read need no lock."""

    def save_overload(self, sig: Any, data: Any) -> None:
        os.makedirs(self.cache_path, exist_ok=True)
        folder = os.open(self.cache_path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]
        finally:
            os.close(folder)


def njit_kept(function: Callable[..., Any], **options: Any) -> Any:
    """``numba.njit(cache=True, **options)(function)``, safe for processes that compile at the same time.

    The machine code lies where Numba puts it, see NUMBA_CACHE_DIR.
    """
    made: Any = numba.njit(**options)(function)
    made._cache = _LockedCache(function)  # type: ignore[no-untyped-call]
    return made
