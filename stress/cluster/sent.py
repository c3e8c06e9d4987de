"""A design of the user's own, or a function of a script, goes to a worker as the files that it is made of."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from stress.design import Design
from stress.resolve import resolve_design
from stress.system.neighbours import imported
from stress.system.own_sources import ROOT, hash_of

PACKAGES = {"dist-packages", "site-packages"}
"""Folders that packages are installed in, wherever an environment lies."""


def _loaded() -> Iterator[Path]:
    """Yield the Python files that were imported, without those that are installed: a worker has these itself.

    An environment may lie beside a design, as may this program's own sources.
    """
    python = [Path(os.path.realpath(sysconfig.get_path(name))) for name in ("stdlib", "platstdlib")]
    installed = [*python, ROOT / "stress", ROOT / "shm_layout"]
    for module in imported():
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.endswith(".py") and Path(file).is_file():
            path = Path(os.path.realpath(file))
            if not PACKAGES & {*path.parts} and not any(path.is_relative_to(folder) for folder in installed):
                yield path


@dataclass(frozen=True)
class Sent:
    """A design by its name, and the user's Python files that this takes: their contents, by path below ``files``."""

    name: str
    files: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str) -> Sent:
        """Return a design that was resolved here: its file goes along, and what it imported from the same folder.

        Other files, which it may read, do not.
        """
        if ":" not in name:
            return cls(name)
        path = Path(os.path.realpath(name.rpartition(":")[0]))
        return cls(f"{path.name}:{name.rpartition(':')[2]}", _with_neighbours(path))

    def resolve(self) -> Design:
        """In the process of a shard: write the files into the current folder, and return the design."""
        _write(self.files, Path())
        return resolve_design(self.name)


@dataclass(frozen=True)
class SentCall:
    """A call of a function of a script, such as a benchmark, with the script and what it imported from its folder.

    ``arguments`` and what the function returns are plain values: other processes do not know the script's classes.
    """

    script: str
    function: str
    arguments: tuple[Any, ...]
    files: dict[str, bytes]

    @classmethod
    def of(cls, function: Callable[..., Any], *arguments: Any) -> SentCall:
        """Return the call of a function on the top level of a script, which may be the one that runs."""
        path = Path(os.path.realpath(inspect.getfile(function)))
        return cls(path.stem, function.__name__, arguments, _with_neighbours(path))


_imported_from: list[str] = []
"""In the process of a shard: the folder of the script that was called last."""


def make(call: SentCall) -> Any:
    """In the process of a shard: write the files into a folder below the current one, and make the call.

    A process may make several; what it has imported of another script, or of this one as it was, is forgotten.
    """
    folder = os.path.abspath(hash_of((), (repr(sorted(call.files.items())),)))
    if [folder] != _imported_from:
        for name in [name for name, module in sys.modules.items() if _lies_in(module, _imported_from)]:
            del sys.modules[name]
        sys.path[:] = [folder, *(path for path in sys.path if path not in _imported_from)]
        _imported_from[:] = [folder]
        _write(call.files, Path(folder))
        importlib.invalidate_caches()
    return getattr(importlib.import_module(call.script), call.function)(*call.arguments)


def _lies_in(module: ModuleType, folders: Iterable[str]) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and any(Path(file).is_relative_to(folder) for folder in folders)


def _with_neighbours(path: Path) -> dict[str, bytes]:
    """Return the contents of a file, and of those that were imported from its folder or below, by path from there."""
    own = {path, *(file for file in _loaded() if file.is_relative_to(path.parent))}
    return {str(file.relative_to(path.parent)): file.read_bytes() for file in own}


def _write(files: dict[str, bytes], folder: Path) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
