"""Kinds of page fault, one after the other over a range: what each finds in the machine before it.

What the kind needs to find there (the zero page, a page of the page cache, a swap entry) is written beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shm_layout.layout import Layout
from shm_layout.machine import Machine
from stress.kernel.page_alloc import fresh_content
from stress.kernel.pgtable import PG_FILE, PG_LRU, YOUNG, ZERO_PAGE, mk_pte, swp_entry

SPARE = 16
"""Frames that a CPU may hold beside those of its pages."""

Memory = NDArray[np.int64]
Prepare = Callable[[Memory, Layout, int, int, int], None]
"""Writes what the kind finds: memory, layout, end of the CPU's own frames, first page, number of pages."""


def _nothing(m: Memory, layout: Layout, frame_end: int, first: int, pages: int) -> None:
    """Untouched memory."""


def _zero_page(m: Memory, layout: Layout, frame_end: int, first: int, pages: int) -> None:
    """The zero page is mapped for reading."""
    ptes = layout.regions["pte"].start + first
    m[ptes : ptes + pages] = mk_pte(m, ZERO_PAGE, YOUNG)


def _fields(m: Memory, layout: Layout, struct: str, first: int, count: int) -> dict[str, Memory]:
    """The fields of some instances of a structure, each as a view of the memory."""
    region = layout.regions[struct]
    last = region.stride * (count - 1) + 1
    starts = {name: region.index(first, name) for name in region.offsets}
    return {name: m[start : start + last : region.stride] for name, start in starts.items()}


def _contents(first: int, pages: int) -> NDArray[np.int64]:
    return np.arange(first, first + pages, dtype=np.int64) * fresh_content(0) + fresh_content(0)


def _in_swap(m: Memory, layout: Layout, frame_end: int, first: int, pages: int) -> None:
    """Every page lies in the swap slot of its own number, and nowhere else."""
    ptes = layout.regions["pte"].start + first
    slots = np.arange(first, first + pages, dtype=np.int64)
    m[ptes : ptes + pages] = slots * swp_entry(0) + swp_entry(0)
    slot = _fields(m, layout, "swap", first, pages)
    slot["count"][:] = 1
    slot["content"][:] = _contents(first, pages)


def _in_page_cache(m: Memory, layout: Layout, frame_end: int, first: int, pages: int) -> None:
    """Every page is in the page cache, in the last frames of those that the CPU takes first."""
    frame = frame_end - pages
    cache = layout.regions["page_cache"].start + first - layout.machine.anon
    m[cache : cache + pages] = np.arange(frame, frame + pages)
    page = _fields(m, layout, "page", frame, pages)
    page["count"][:] = 1
    page["flags"][:] = PG_FILE | PG_LRU
    page["content"][:] = _contents(first, pages)


@dataclass(frozen=True)
class Kind:
    """One kind of fault. ``counted``: rss counts the page that it maps."""

    name: str
    doc: str
    write: bool
    prepare: Prepare = _nothing
    file: bool = False
    counted: bool = True


SINGLE: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("anon-write", "untouched anonymous memory is written to, as in 2004", write=True),
        Kind("anon-read", "untouched anonymous memory is read: the zero page is mapped", write=False, counted=False),
        Kind("cow", "memory that maps the zero page is written to: do_wp_page makes a copy", True, _zero_page),
        Kind("file", "pages of a file that are in the page cache are read", False, _in_page_cache, file=True),
        Kind("swap-in", "anonymous memory that was swapped out is read", False, _in_swap),
    )
}
"""The kinds by name."""

KINDS: Mapping[str, tuple[Kind, ...]] = {
    **{name: (kind,) for name, kind in SINGLE.items()},
    "mixed": tuple(sorted(SINGLE.values(), key=lambda kind: kind.file)),
}
"""What can be measured: one kind, or all of them over equal shares of the memory; file pages come last."""


def areas(kinds: tuple[Kind, ...], pages: int) -> list[tuple[Kind, int, int]]:
    """Each kind with the first of its pages, and one past the last."""
    n = len(kinds)
    return [(kind, pages * i // n, pages * (i + 1) // n) for i, kind in enumerate(kinds)]


def machine_for(kinds: tuple[Kind, ...], *, workers: int, pages: int, arch: str, batch: int = Machine.batch) -> Machine:
    """One mm with so many pages, a frame for each, and swap slots if they are needed. ``batch``: see `Machine`."""
    file = sum(end - first for kind, first, end in areas(kinds, pages) if kind.file)
    return Machine(
        cpus=workers,
        mms=1,
        anon=pages - file,
        shared_file=file,
        frames=1 + pages + SPARE * workers + len(kinds) * workers,
        swap=pages - file if any(kind.prepare is _in_swap for kind in kinds) else 0,
        arch=arch,
        batch=batch,
        task_depth=1,
    )


def parts(kinds: tuple[Kind, ...], pages: int, worker: int, workers: int) -> list[tuple[Kind, int, int]]:
    """The worker's own part of the area of each kind: kind, first page, one past the last; empty parts left out."""
    own = []
    for kind, first, end in areas(kinds, pages):
        n = end - first
        a, b = first + n * worker // workers, first + n * (worker + 1) // workers
        if a < b:
            own.append((kind, a, b))
    return own


def resident(kinds: tuple[Kind, ...], pages: int) -> int:
    """Pages that are mapped and counted once every page has been touched."""
    return sum(end - first for kind, first, end in areas(kinds, pages) if kind.counted)
