"""Compiled code's calls of other compiled code by its address, so that neither is compiled anew with the other.

Importing this module imports numba.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_intrinsic: Any = intrinsic  # not annotated in Numba
_unpack_tuple: Any = cgutils.unpack_tuple


def lower_call(context: Any, builder: ir.IRBuilder, address: Any, arguments: Any, values: Any) -> Any:
    """Build a call of the function ``arguments -> int64`` at an address, as compiled functions call one another.

    Steps of the library never raise: what an exception would return is not looked at.
    """
    convention = context.call_conv
    signature = convention.get_function_type(types.int64, arguments)
    callee = builder.inttoptr(address, signature.as_pointer())
    _, outcome = convention.call_function(builder, callee, types.int64, arguments, values)
    return outcome


@_intrinsic  # type: ignore[untyped-decorator]
def call_at(typing_context: Any, address: Any, arguments: Any) -> Any:
    """In compiled code: call the function ``arguments -> int64`` at an address; it does not raise.

    The address is what `stress.compiling.modules.address_of` returned.
    """

    def lower(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        return lower_call(context, builder, args[0], sig.args[1].types, _unpack_tuple(builder, args[1]))

    return types.int64(address, arguments), lower
