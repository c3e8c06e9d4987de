"""A design of the user's own goes to a worker as the files that it is made of."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stress.design import Design
from stress.resolve import resolve_design
from stress.system.neighbours import imported
from stress.system.own_sources import ROOT

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
        own = {path, *(file for file in _loaded() if file.is_relative_to(path.parent))}
        return cls(
            f"{path.name}:{name.rpartition(':')[2]}",
            {str(file.relative_to(path.parent)): file.read_bytes() for file in own},
        )

    def resolve(self) -> Design:
        """In the process of a shard: write the files into the current folder, and return the design."""
        for name, data in self.files.items():
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return resolve_design(self.name)
