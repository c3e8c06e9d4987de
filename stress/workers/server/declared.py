"""Fields and labels of the user's designs, numbered alike in the launcher and in the fork server.

They are numbered as they are declared, which is the order in which files are imported: the server imports those of
one design after the other, whenever that is first asked for, and the launcher may have done it in another order.
"""

from __future__ import annotations

from dataclasses import dataclass

from shm_layout import structs
from shm_layout.errors import UsageError
from stress.labels import LabelInfo, label, labels


@dataclass(frozen=True)
class Declared:
    """All that was declared in a process so far, each in its order."""

    fields: tuple[structs.Declaration, ...]
    labels: tuple[LabelInfo, ...]


def declared() -> Declared:
    """Return what was declared in this process."""
    return Declared(structs.declarations(), labels())


def declare(theirs: Declared) -> None:
    """Declare what the other process has, before files are imported that declare it again."""
    structs.declare(theirs.fields)
    for one in theirs.labels:
        label(one.name, back=one.back, section=one.section)


def check_declared(theirs: Declared) -> None:
    """See that the files that were imported since declared nothing else. Raises `UsageError`."""
    if declared() != theirs:
        raise UsageError(
            "the design's fields or labels are others in the process that serves the workers: declare them at the top "
            "of its file, the same ones each time"
        )
