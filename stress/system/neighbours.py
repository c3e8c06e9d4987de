"""Let a Python file of the user's import its neighbours, and not those of other folders that have the same names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

_folders: list[str] = []
"""Folders whose files were imported, in the order in which that was done."""


def _folder_of(name: str) -> str:
    """Return the folder that a module, or the package that it is of, was imported from; "" for none."""
    module = sys.modules.get(name.partition(".")[0])
    file = getattr(module, "__file__", None)
    if not isinstance(file, str):
        return ""
    path = Path(file)
    return str(path.parent.parent if path.name == "__init__.py" else path.parent)


def neighbours(folder: Path) -> dict[str, ModuleType]:
    """Return the modules that were imported from a folder, by the names that other files import them by."""
    return {name: module for name, module in list(sys.modules.items()) if _folder_of(name) == str(folder)}


@contextmanager
def importing_from(folder: Path, own: str) -> Iterator[None]:
    """In the block the modules of this folder can be imported, and none of other folders of users' files.

    Afterwards a name stands for the module that had it first. Another one has the name and its folder: whoever looks at
    what was imported finds both. ``own``: how the names of the files themselves begin, which are never the same.
    """
    mine, mark = str(folder), f" of {folder}"
    others = [other for other in _folders if other != mine]
    aside = {
        name: module
        for name, module in list(sys.modules.items())
        if not name.startswith(own) and " of " not in name and others and _folder_of(name) in others
    }
    for name in aside:
        del sys.modules[name]
    back = {name.removesuffix(mark): name for name in list(sys.modules) if name.endswith(mark)}
    for name, marked in back.items():
        sys.modules[name] = sys.modules.pop(marked)
    path = [entry for entry in others if entry in sys.path]
    for entry in path:
        sys.path.remove(entry)
    if mine not in _folders:
        _folders.append(mine)
    if mine not in sys.path:
        sys.path.append(mine)  # after all others, whose names its files may have
    try:
        yield
    finally:
        sys.path += [entry for entry in path if entry not in sys.path]
        for name, module in aside.items():
            if name in sys.modules:
                sys.modules[name + mark] = sys.modules[name]
            sys.modules[name] = module
