"""Let a Python file of the user's import its neighbours, and not those of other folders that have the same names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

_behind: dict[str, dict[str, ModuleType]] = {}
"""For each folder whose files were imported its modules whose names stand for those of another folder."""


def _folder_of(name: str) -> str:
    """Return the folder that a module, or the package that it is of, was imported from; "" for none."""
    module = sys.modules.get(name.partition(".")[0])
    file = getattr(module, "__file__", None)
    if not isinstance(file, str):
        return ""
    path = Path(file)
    return str(path.parent.parent if path.name == "__init__.py" else path.parent)


def imported() -> list[ModuleType]:
    """Return all modules that were imported, also those whose names stand for others."""
    return [*sys.modules.values(), *(module for modules in _behind.values() for module in modules.values())]


def has_neighbours(folder: Path, own: str) -> bool:
    """Return whether modules were imported from a folder, beside files whose names begin with ``own``."""
    mine = str(folder)
    return bool(_behind.get(mine)) or any(not n.startswith(own) and _folder_of(n) == mine for n in list(sys.modules))


@contextmanager
def importing_from(folder: Path, own: str) -> Iterator[None]:
    """In the block the modules of this folder can be imported, and none of other folders of users' files.

    Afterwards a name stands for the module that had it first. ``own``: how the names of the files themselves begin,
    which are never the same.
    """
    mine = str(folder)
    others = _behind.keys() - {mine}
    aside = {n: sys.modules[n] for n in list(sys.modules) if not n.startswith(own) and _folder_of(n) in others}
    for name in aside:
        del sys.modules[name]
    sys.modules.update(_behind.setdefault(mine, {}))
    path = [(place, entry) for place, entry in enumerate(sys.path) if entry in others]
    sys.path[:] = [entry for entry in sys.path if entry not in others]
    if mine not in sys.path:
        sys.path.append(mine)  # after all others, whose names its files may have
    try:
        yield
    finally:
        for place, entry in path:
            sys.path.insert(place, entry)
        _behind[mine] = {name: sys.modules[name] for name in aside if name in sys.modules}
        sys.modules.update(aside)
