"""Compiling steps: from plain Python to machine code by Numba, kept on disk between runs.

An engine writes the source of the functions that it needs (a loop over the programs of one design, a table of
steps) and has them compiled by `compiled_module`. Steps are compiled once and linked into what calls them.

Numba's cache notices a change of the file that a function lies in, but not of the files of what it calls. So machine
code is kept in a folder named after a hash of all files that steps are made from, and of the versions that compile
them (`stress.compiling.disk_cache`): what is found there is never out of date. The folder can be removed at any time.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
from numba import types
from numba.core.datamodel import models
from numba.core.datamodel.registry import register_default
from numba.core.errors import TypingError
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from shm_layout.errors import PteStressError, UsageError
from shm_layout.lowering import words  # atomic operations compile from here on
from stress.compiling.disk_cache import cache_folder, cfunc_kept, is_kept, keep_source, njit_kept, own_files
from stress.compiling.fingerprint import file_of, fingerprint
from stress.program import Assembled
from stress.step import StepFunction, helpers

outer = partial(njit_kept, nogil=True)
"""Compile what Python calls, and keep it on disk."""
inner = partial(njit_kept, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Compile what compiled code alone calls, and keep it on disk."""

_registered: set[Callable[..., object]] = set()

# Not annotated in Numba; named here once for the type checker.
_Dispatcher: Any = types.Dispatcher
_register_model: Any = register_default
_unliteral: Any = types.unliteral
_context: Any = cpu_target


class _Shared(_Dispatcher):  # type: ignore[misc]
    """The type of a helper in compiled code: compiled once, not once more for each literal number that it is given."""

    def get_call_type(self, context: Any, args: Any, kws: Any) -> Any:
        return super().get_call_type(context, [_unliteral(a) for a in args], kws)


_register_model(_Shared)(models.OpaqueModel)


def _register_helpers() -> None:
    """Let compiled code find the helpers: each is compiled by itself and kept on disk, as steps are."""
    for function in helpers():
        if function not in _registered:
            _registered.add(function)
            _context.typing_context.insert_global(function, _Shared(_compiled(function)))


@cache
def _compiled(function: Callable[..., Any]) -> Any:
    compiler: Any = numba  # its stubs do not know the options
    make = njit_kept if file_of(function) in own_files() else compiler.njit
    return make(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def dispatcher(function: Callable[..., Any]) -> Any:
    """Return the compiled form of a step or of any other plain function of the memory, to be called from compiled code.

    It has no entry for calls from Python, which saves a fifth of the time to compile. That of a user's own function
    is not kept on disk by itself, only with what calls it.
    """
    _register_helpers()
    return _compiled(function)


def is_on_disk(function: Callable[..., Any], arguments: tuple[Any, ...]) -> bool:
    """Return whether a step or helper of this package needs no compiling for arguments of these types."""
    return is_kept(dispatcher(function), arguments)


def pointer_to(function: Callable[..., Any], arguments: tuple[Any, ...]) -> int:
    """Return the address of the machine code of a function ``arguments -> int64``, compiled or read from disk now.

    It is called as compiled functions call one another (`stress.compiling.calling`). The code stays for good.
    """
    return address_of(dispatcher(function), arguments)


def address_of(compiled: Any, arguments: tuple[Any, ...]) -> int:
    """Return where the machine code of a function of `compiled_module` lies, as `pointer_to` does of a plain one."""
    compiled.compile(arguments)
    made = compiled.overloads[arguments]
    assert _unliteral(made.signature.return_type) == types.int64, made.signature
    return int(made.library.get_pointer_to_function(made.fndesc.llvm_func_name))


def _source_hash(source: str, functions: Iterable[Callable[..., Any]]) -> str:
    """Return a hash of generated source, and of what the user's functions among those that it calls are made from."""
    return hashlib.sha256(f"{source} {fingerprint(functions, own_files())}".encode()).hexdigest()[:16]


def module_path(name: str, source: str, functions: dict[str, Callable[..., Any]]) -> Path:
    """Return where `compiled_module` keeps this generated source; its machine code lies in a folder beside it."""
    return cache_folder() / f"{name}_{_source_hash(source, functions.values())}.py"


def compiled_module(name: str, source: str, functions: dict[str, Callable[..., Any]]) -> dict[str, Any]:
    """Compile generated source; ``functions`` are the steps it calls, by the names it uses for them.

    The source decorates what it defines with ``@njit``, ``@cfunc(signature)``, or ``@inner`` for what is called from
    compiled code alone (decorators in its namespace, with the cache on), and calls atomic operations through its
    parameters' steps only. Returns its namespace. Machine code is made when a function is first called, or read from
    `cache_folder`.
    """
    path = module_path(name, source, functions)
    keep_source(path, source.encode())
    module = ModuleType(path.stem)
    sys.modules[path.stem] = module  # machine code read from disk looks its module up by name
    namespace = vars(module)
    namespace.update({key: dispatcher(f) for key, f in functions.items()})
    namespace.update(njit=outer, inner=inner, cfunc=cfunc_kept, words=words, place_of=place_of)
    namespace.update(__file__=str(path))
    exec(compile(source, str(path), "exec"), namespace)
    return namespace


_intrinsic: Any = intrinsic


@_intrinsic  # type: ignore[untyped-decorator]
def place_of(typing_context: Any, returned: Any) -> Any:
    """In compiled code: what a check returned, which must be a whole number, not True, False, None or a float."""
    if said := no_number(returned):
        raise TypingError(said)

    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.cast(builder, arguments[0], signature.args[0], signature.return_type)

    return types.int64(returned), lower


def no_number(returned: Any) -> str:
    """Say what is wrong with what a check returns, by its type in compiled code; "" for a whole number."""
    if isinstance(returned, types.Integer):
        return ""
    what = "True or False" if isinstance(returned, types.Boolean) else str(returned)
    return f"returns {what}: return HOLDS, or the number of what breaks it"


@contextmanager
def refused_in_words(
    functions: Iterable[Callable[..., Any]], checks: Collection[Callable[..., Any]] = ()
) -> Iterator[None]:
    """Make what Numba raises about one of the user's functions a `UsageError`: one line with its file and line.

    ``functions``: what is compiled in the block, of which ``checks`` are checks at rest. An error that none of the
    user's own is to blame for is raised as it is.
    """
    try:
        yield
    except (PteStressError, OSError, MemoryError):
        raise
    except Exception as error:
        refusal = _refusal([f for f in functions if file_of(f) not in own_files()], checks)
        if refusal is None:
            raise
        raise refusal from error


_pointer_to: Any = types.CPointer
WORDS = _pointer_to(types.int64)
"""The type of memory and registers in compiled code."""


def _refusal(own: Iterable[Callable[..., Any]], checks: Collection[Callable[..., Any]]) -> UsageError | None:
    """Return the first of these functions that does not compile, as an error; None when all of them do."""
    for function in own:
        count = len(inspect.signature(function).parameters) if function in checks else 2
        what = "check" if function in checks else "step"
        said = ""
        place = f"{file_of(function)}, line {function.__code__.co_firstlineno}"
        try:
            compiled = dispatcher(function)
            compiled.compile((WORDS,) * count)
            if function in checks:
                said = no_number(compiled.nopython_signatures[-1].return_type)
        except Exception as error:
            said, line = in_words(error)
            place = line or place
            said = f"does not compile: {said}; write it with whole numbers, m[...], r[...] and @helper functions"
        if said:
            return UsageError(f"{place}: {what} {function.__name__} {said}")
    return None


_PLACES = (re.compile(r'File "([^"]+)", line (\d+)'), re.compile(r"(?:at|from) (/[^\n]*?) \((\d+)\)"))
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_NO_SENTENCE = ("Failed in nopython", "- Resolution failure", "During:", "File ", ">>>", "There are", "Raised from")


def in_words(error: BaseException) -> tuple[str, str]:
    """Return what an error of Numba says: its first sentence, and the file and line that it names, "" for none."""
    text = _COLOUR.sub("", str(error))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    told = next((line for line in lines if line and not line.startswith(_NO_SENTENCE)), type(error).__name__)
    told = re.sub(r"^(Cannot cast .* to \w+):.*|, location: .*", r"\1", told.split(" Raised from ")[0]).rstrip(". ")
    if told.endswith("signature:"):
        told += " " + next((line.removeprefix(">>> ") for line in lines if line.startswith(">>>")), "")
    place = ""
    location = getattr(error, "loc", None)
    if location is not None and os.path.isabs(str(location.filename)):
        place = f"{location.filename}, line {location.line}"
    elif found := next((match for pattern in reversed(_PLACES) if (match := pattern.search(text))), None):
        place = f"{found[1]}, line {found[2]}"
    return told.replace("int64*", "words"), place


def name_steps(programs: Iterable[Assembled]) -> dict[StepFunction, str]:
    """Return a name for every step of these programs, unlike all others, in the order of their first use."""
    names: dict[StepFunction, str] = {}
    for program in programs:
        for function in program.steps:
            names.setdefault(function, f"s{len(names)}_{getattr(function, '__name__', 'step')}")
    return names
