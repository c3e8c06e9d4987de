"""Compiling steps: from plain Python to machine code by Numba, kept on disk between runs.

An engine writes the source of the functions that it needs (a loop over the programs of one design, a table of
steps) and has them compiled by `compiled_module`. Steps are compiled once and linked into what calls them.

Numba's cache notices a change of the file that a function lies in, but not of the files of what it calls. So machine
code is kept in a folder named after a hash of all files that steps are made from, and of the versions that compile
them (`stress.disk_cache`): what is found there is never out of date. The folder can be removed at any time.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
from numba.extending import register_jitable

from shm_layout.lowering import words  # atomic operations compile from here on
from shm_layout.structs import at
from stress.disk_cache import cache_folder, cfunc_kept, keep_source, njit_kept, own_files
from stress.fingerprint import file_of, fingerprint
from stress.program import Assembled
from stress.step import StepFunction, helpers

_registered: set[Callable[..., object]] = set()


def _register_helpers() -> None:
    for function in (at, *helpers()):
        if function not in _registered:
            _registered.add(function)
            register_jitable(function)


@cache
def dispatcher(function: Callable[..., Any]) -> Any:
    """The compiled form of a step or of any other plain function of the memory, to be called from compiled code.

    It has no entry for calls from Python, which saves a fifth of the time to compile. That of a user's own function
    is not kept on disk by itself, only with what calls it.
    """
    _register_helpers()
    compiler: Any = numba  # its stubs do not know the options
    make = njit_kept if file_of(function) in own_files() else compiler.njit
    return make(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def _source_hash(source: str, functions: Iterable[Callable[..., Any]]) -> str:
    """A hash of generated source, and of what the user's functions among those that it calls are made from."""
    return hashlib.sha256(f"{source} {fingerprint(functions, own_files())}".encode()).hexdigest()[:16]


def module_path(name: str, source: str, functions: dict[str, Callable[..., Any]]) -> Path:
    """Where `compiled_module` keeps this generated source; its machine code lies in a folder beside it."""
    return cache_folder() / f"{name}_{_source_hash(source, functions.values())}.py"


def compiled_module(name: str, source: str, functions: dict[str, Callable[..., Any]]) -> dict[str, Any]:
    """Compile generated source; ``functions`` are the steps it calls, by the names it uses for them.

    The source decorates what it defines with ``@njit`` or ``@cfunc(signature)`` (decorators in its namespace, with the
    cache on) and calls atomic operations through its parameters' steps only. Returns its namespace. Machine code is
    made when a function is first called, or read from `cache_folder`.
    """
    path = module_path(name, source, functions)
    keep_source(path, source.encode())
    module = ModuleType(path.stem)
    sys.modules[path.stem] = module  # machine code read from disk looks its module up by name
    namespace = vars(module)
    namespace.update({key: dispatcher(f) for key, f in functions.items()})
    namespace.update(njit=partial(njit_kept, nogil=True), cfunc=cfunc_kept, words=words, __file__=str(path))
    exec(compile(source, str(path), "exec"), namespace)
    return namespace


def name_steps(programs: Iterable[Assembled]) -> dict[StepFunction, str]:
    """A name for every step of these programs, unlike all others, in the order of their first use."""
    names: dict[StepFunction, str] = {}
    for program in programs:
        for function in program.steps:
            names.setdefault(function, f"s{len(names)}_{getattr(function, '__name__', 'step')}")
    return names
