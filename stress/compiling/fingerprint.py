"""What machine code of a user's functions was made from: their files, their bytecode, and all values that they reach.

Numba takes the value that a global has when it compiles: that of another module's, too, of which the file of the
function says nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

_THEIRS = frozenset(("numba", "numpy", "llvmlite"))
"""Packages whose versions are part of the key already, or that Numba compiles without a look at their source."""


@cache
def file_of(function: Callable[..., Any]) -> Path:
    """Return the file that a function was defined in."""
    return Path(inspect.getfile(function)).resolve()


def fingerprint(functions: Iterable[Callable[..., Any]], own_files: frozenset[Path]) -> str:
    """Return a hash of these functions and of all that they reach; what lies in ``own_files`` is known by other means.

    Functions that they call are followed, compiled by Numba or not, in whichever module; globals, members of modules,
    cells and defaults count by their value where Numba can take it as a constant.
    """
    digest = hashlib.sha256()
    files: set[tuple[Path, str]] = set()
    seen: set[int] = set()
    queue: list[Any] = list(functions)
    for value in queue:  # which grows
        if isinstance(value, np.ndarray):
            digest.update(f"{value.dtype} {value.shape}".encode() + value.tobytes())
            continue
        if isinstance(value, tuple):
            digest.update(f"tuple of {len(value)}".encode())
            queue.extend(value)
            continue
        if value is None or isinstance(value, int | float | complex | str | bytes | Enum | np.generic):
            digest.update(f"{type(value).__name__} {value!r}".encode())
            continue
        function = inspect.unwrap(getattr(value, "py_func", value))
        if not isinstance(function, FunctionType) or id(function) in seen or _is_known(function, own_files):
            continue
        seen.add(id(function))
        files.add((file_of(function), function.__module__))
        code = function.__code__
        for part in _parts(code):
            digest.update(part)
        reached = dict(_reached(function, frozenset(_names(code))))
        queue.extend(reached[name] for name in sorted(reached))
    for path, module in sorted(files):
        digest.update(path.read_bytes() if path.is_file() else b"")
        digest.update(module.encode())  # machine code looks the module up by name
    return digest.hexdigest()


def reaches(functions: Iterable[Callable[..., Any]], name: str) -> bool:
    """Return whether one of these functions, or one that they call, takes a global or a member of this name."""
    seen: set[int] = set()
    queue: list[Any] = list(functions)
    for value in queue:  # which grows
        function = inspect.unwrap(getattr(value, "py_func", value))
        if not isinstance(function, FunctionType) or id(function) in seen:
            continue
        seen.add(id(function))
        names = frozenset(_names(function.__code__))
        if name in names:
            return True
        queue.extend(reached for _, reached in _reached(function, names))
    return False


def _is_known(function: FunctionType, own_files: frozenset[Path]) -> bool:
    package = function.__module__.partition(".")[0]
    return package in _THEIRS or package in sys.stdlib_module_names or file_of(function) in own_files


def _within(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _within(constant)


def _parts(code: CodeType) -> Iterator[bytes]:
    """Yield the bytecode, and its constants but for nested code, which follows."""
    for inner in _within(code):
        yield inner.co_code
        yield repr(inner.co_names).encode()
        constants = [c for c in inner.co_consts if not isinstance(c, CodeType)]
        yield repr([sorted(map(repr, c)) if isinstance(c, frozenset) else c for c in constants]).encode()


def _names(code: CodeType) -> Iterator[str]:
    for inner in _within(code):
        yield from inner.co_names


def _reached(function: FunctionType, names: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """Yield the values that a function may take, each with a name that says where from."""
    for position, default in enumerate(function.__defaults__ or ()):
        yield f"default {position}", default
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # not set yet
            yield f"cell {name}", cell.cell_contents
    modules: list[tuple[str, ModuleType]] = []
    for name in names & function.__globals__.keys():
        value = function.__globals__[name]
        yield f"global {name}", value
        if isinstance(value, ModuleType):
            modules.append((name, value))
    seen: set[ModuleType] = set()
    for path, module in modules:  # which grows
        if module in seen or module.__name__.partition(".")[0] in _THEIRS | sys.stdlib_module_names:
            continue
        seen.add(module)
        for name in names & vars(module).keys():
            value = vars(module)[name]
            yield f"member {path}.{name}", value
            if isinstance(value, ModuleType):
                modules.append((f"{path}.{name}", value))
