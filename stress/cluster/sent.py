"""A design of the user's own goes to a worker as the files that it is made of."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from stress.design import Design
from stress.resolve import resolve_design


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
        loaded = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        beside = {Path(file) for file in loaded if file and file.endswith(".py") and Path(file).is_file()}
        own = {path, *(file for file in beside if file.is_relative_to(path.parent))}
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
