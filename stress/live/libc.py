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

_i64, _i32, _u64 = types.int64, types.int32, types.uint64

mmap = ExternalFunction("mmap", _i64(_i64, _u64, _i32, _i32, _i32, _i64))
munmap = ExternalFunction("munmap", _i32(_i64, _u64))
mremap = ExternalFunction("mremap", _i64(_i64, _u64, _u64, _i32))
madvise = ExternalFunction("madvise", _i32(_i64, _u64, _i32))
read = ExternalFunction("read", _i64(_i32, _i64, _u64))
write = ExternalFunction("write", _i64(_i32, _i64, _u64))
close = ExternalFunction("close", _i32(_i32))
fork = ExternalFunction("fork", _i32())
exit_now = ExternalFunction("_exit", types.void(_i32))
waitpid = ExternalFunction("waitpid", _i32(_i32, _i64, _i32))
kill = ExternalFunction("kill", _i32(_i32, _i32))
pause = ExternalFunction("pause", _i32())
getpid = ExternalFunction("getpid", _i32())
getppid = ExternalFunction("getppid", _i32())
prctl = ExternalFunction("prctl", _i32(_i32, _u64))
sched_setaffinity = ExternalFunction("sched_setaffinity", _i32(_i32, _u64, _i64))
clock_gettime = ExternalFunction("clock_gettime", _i32(_i32, _i64))
getrusage = ExternalFunction("getrusage", _i32(_i32, _i64))
errno_location = ExternalFunction("__errno_location", types.CPointer(_i32)())


@intrinsic  # type: ignore[untyped-decorator]
def as_bytes(typing_context: Any, address: Any) -> tuple[Any, Callable[..., Any]]:
    """The bytes from `address` (int64) on, as a pointer to uint8 that compiled code can index."""
    signature = types.CPointer(types.uint8)(types.int64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return signature, generate
