"""Which fields share a cache line.

A placement says for each structure whether its instances begin on a line of their own, and which of its
fields begin a new line. Offsets are computed from it, see `shm_layout.layout`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shm_layout.structs import STRUCTS


@dataclass(frozen=True)
class Placement:
    """``lines``: structure name to the groups of fields that get a line each; fields not named follow the last
    group. A structure that is not named lies packed, instance after instance, without regard to lines.
    ``readers_apart``: the readers of mmap_sem are not counted in its one word, but by each CPU in a word of its own.
    """

    name: str
    doc: str
    lines: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    readers_apart: bool = False


_OWN_LINES: dict[str, tuple[tuple[str, ...], ...]] = {
    "task_struct": ((),),
    "cpu": ((),),
    "zone": ((),),
    "page_table": ((),),
    "rss_stat": ((),),
    "mmap_sem_readers": ((),),
    "counter_node": ((),),
}

AS_POSTED = Placement(
    "posted",
    "mmap_sem, page_table_lock, rss and anon_rss of an mm on one line, as in the mm_struct of 2.6.10",
    {**_OWN_LINES, "mm_struct": ((),)},
)
PACKED = Placement("packed", "no regard to cache lines at all: tasks, too, share them")
SEPARATE = Placement(
    "separate",
    "the counters of an mm on a line of their own, away from mmap_sem and page_table_lock",
    {
        **_OWN_LINES,
        "mm_struct": (
            ("mmap_sem", "page_table_lock"),
            ("rss", "anon_rss", "file_rss", "shmem_rss", "local_rss", "local_anon_rss"),
            ("mm_users", "task_list"),
        ),
    },
)
PADDED = Placement(
    "padded",
    "mmap_sem, page_table_lock, rss and anon_rss on a line each",
    {
        **_OWN_LINES,
        "mm_struct": (
            ("mmap_sem",),
            ("page_table_lock",),
            ("rss",),
            ("anon_rss",),
            ("mm_users", "task_list"),
        ),
    },
)
BIG_READER = Placement(
    "big_reader",
    "as padded, and the readers of mmap_sem counted on a line of each CPU, as a brlock of Linux 2.4 does",
    PADDED.lines,
    readers_apart=True,
)

PLACEMENTS: dict[str, Placement] = {p.name: p for p in (AS_POSTED, PACKED, SEPARATE, PADDED, BIG_READER)}


def grouped(placement: Placement, struct: str) -> list[list[str]] | None:
    """Return the names of a structure's fields, line by line; None where the structure lies packed."""
    if struct not in placement.lines:
        return None
    groups = [list(g) for g in placement.lines[struct]]
    named = {name for g in groups for name in g}
    groups[-1].extend(f.name for f in STRUCTS[struct].fields if f.name not in named)
    return groups
