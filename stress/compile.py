"""Compiling steps: from plain Python to machine code by Numba, kept on disk between runs.

An engine writes the source of the functions that it needs (a loop over the programs of one design, a table of
steps) and has them compiled by `compiled_module`. Steps are compiled once and linked into what calls them.

Numba's cache notices a change of the file that a function lies in, but not of the files of what it calls. So machine
code is kept in a folder named after a hash of all files that steps are made from, and of the versions that compile
them: what is found there is never out of date. The folder can be removed at any time.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import numba
from numba.extending import register_jitable

from shm_layout.lowering import words  # atomic operations compile from here on
from stress.cache_home import cache_home
from stress.disk_cache import njit_kept
from stress.errors import MachineError
from stress.fingerprint import file_of, fingerprint
from stress.program import Assembled
from stress.step import StepFunction, helpers

_registered: set[Callable[..., object]] = set()


@cache
def _own_files() -> frozenset[Path]:
    """The files of both packages that compiled functions lie in, or take numbers from."""
    root = Path(__file__).resolve().parent
    files = {*root.glob("*.py"), *root.parent.joinpath("shm_layout").glob("*.py")}
    for folder in ("kernel", "explore", "workers", "rss"):
        files.update((root / folder).rglob("*.py"))
    return frozenset(files)


def _hash_of_sources() -> str:
    """A hash of these files, and of the versions of what compiles them."""
    digest = hashlib.sha256()
    for text in (sys.version, numba.__version__, llvmlite.__version__):
        digest.update(text.encode())
    for path in sorted(_own_files()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


# Taken at once: a file that is edited while the program runs must not lend its hash to code that was loaded before.
_SOURCES = _hash_of_sources()


def _register_helpers() -> None:
    for function in helpers():
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
    compiler: Any = numba  # its stubs know neither the setting nor the options
    compiler.config.CACHE_DIR = str(cache_folder())
    make = njit_kept if file_of(function) in _own_files() else compiler.njit
    return make(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


@cache
def cache_folder() -> Path:
    """Where generated source and machine code are kept: below NUMBA_CACHE_DIR, else below the user's cache folder.

    The last part of the path is a hash of the package's own sources and of the versions of what compiles them.
    Raises `MachineError` when nothing can be written there.
    """
    configured = os.environ.get("NUMBA_CACHE_DIR")
    base = Path(configured) if configured else cache_home()
    folder = base / "pte-stress" / _SOURCES
    advice = "set NUMBA_CACHE_DIR to a folder that you may write to"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise MachineError(f"no folder {folder} for compiled code ({e.strerror}): {advice}") from None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise MachineError(f"no permission for {folder}, where compiled code is kept: {advice}")
    return folder


def _source_hash(source: str, functions: Iterable[Callable[..., Any]]) -> str:
    """A hash of generated source, and of what the user's functions among those that it calls are made from."""
    return hashlib.sha256(f"{source} {fingerprint(functions, _own_files())}".encode()).hexdigest()[:16]


def module_path(name: str, source: str, functions: dict[str, Callable[..., Any]]) -> Path:
    """Where `compiled_module` keeps this generated source; its machine code lies in a folder beside it."""
    return cache_folder() / f"{name}_{_source_hash(source, functions.values())}.py"


def compiled_module(name: str, source: str, functions: dict[str, Callable[..., Any]]) -> dict[str, Any]:
    """Compile generated source; ``functions`` are the steps it calls, by the names it uses for them.

    The source decorates what it defines with ``@njit`` (a decorator in its namespace, with the cache on) and
    calls atomic operations through its parameters' steps only. Returns its namespace. Machine code is made
    when a function is first called, or read from `cache_folder`.
    """
    path = module_path(name, source, functions)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_text(source, encoding="utf-8")
        part.replace(path)
    module = ModuleType(path.stem)
    sys.modules[path.stem] = module  # machine code read from disk looks its module up by name
    namespace = vars(module)
    namespace.update({key: dispatcher(f) for key, f in functions.items()})
    namespace.update(njit=partial(njit_kept, nogil=True), words=words, __file__=str(path))
    exec(compile(source, str(path), "exec"), namespace)
    return namespace


def name_steps(programs: Iterable[Assembled]) -> dict[StepFunction, str]:
    """A name for every step of these programs, unlike all others, in the order of their first use."""
    names: dict[StepFunction, str] = {}
    for program in programs:
        for function in program.steps:
            names.setdefault(function, f"s{len(names)}_{getattr(function, '__name__', 'step')}")
    return names
