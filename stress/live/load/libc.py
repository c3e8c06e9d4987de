"""C library functions for compiled loops: called by symbol, so that compiled code can be cached on disk.

Every address is an int64; a failed call returns -1 and leaves its reason in `errno()`. Importing this module
imports numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types
from numba.core.types import ExternalFunction
from numba.extending import intrinsic


def _symbol(name: str, signature: Any) -> Any:
    """Return a C function of the running process; Any, since only compiled code can call it."""
    return ExternalFunction(name, signature)


_i64, _i32, _u64 = types.int64, types.int32, types.uint64
_pointer_to: Any = types.CPointer

mmap = _symbol("mmap", _i64(_i64, _u64, _i32, _i32, _i32, _i64))
munmap = _symbol("munmap", _i32(_i64, _u64))
mremap = _symbol("mremap", _i64(_i64, _u64, _u64, _i32, _i64))
mprotect = _symbol("mprotect", _i32(_i64, _u64, _i32))
madvise = _symbol("madvise", _i32(_i64, _u64, _i32))
read = _symbol("read", _i64(_i32, _i64, _u64))
write = _symbol("write", _i64(_i32, _i64, _u64))
fork = _symbol("fork", _i32())
exit_now = _symbol("_exit", types.void(_i32))
waitpid = _symbol("waitpid", _i32(_i32, _i64, _i32))
kill = _symbol("kill", _i32(_i32, _i32))
pause = _symbol("pause", _i32())
getpid = _symbol("getpid", _i32())
getppid = _symbol("getppid", _i32())
prctl = _symbol("prctl", _i32(_i32, _u64))
sched_setaffinity = _symbol("sched_setaffinity", _i32(_i32, _u64, _i64))
clock_gettime = _symbol("clock_gettime", _i32(_i32, _i64))
getrusage = _symbol("getrusage", _i32(_i32, _i64))
errno_location = _symbol("__errno_location", _pointer_to(_i32)())


@intrinsic
def _as_bytes(typing_context: Any, address: Any) -> tuple[Any, Callable[..., Any]]:
    """Return the bytes from `address` (int64) on, as a pointer to uint8 that compiled code can index."""
    signature = _pointer_to(types.uint8)(_i64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return signature, generate


as_bytes: Any = _as_bytes
"""as_bytes(address): a pointer to uint8 that compiled code can index."""
