"""The size and kind of the modelled machine."""

from __future__ import annotations

from dataclasses import dataclass

from shm_layout.counter_tree import MOST_CPUS

ARCHES = ("64", "pae")


@dataclass(frozen=True)
class Machine:
    """What the layout is computed from.

    ``cpus``: CPUs, each with a stack of ``task_depth`` tasks. ``mms``: address spaces, of which mm 0 is the one
    that all CPUs start on. ``anon``, ``private_file``, ``shared_file``: virtual pages of each mm by kind of
    mapping, in this order. ``frames``: page frames, frame 0 (the zero page) among them. ``swap``: slots.
    ``batch``: batch of per-CPU counters, pages. ``above_4g``: frames lie above 4 GiB. ``mmu``: update_mmu_cache
    loads a cache. ``ghost``: what the user wrote is kept, for check `data_kept`. ``ptrs_per_pte``: ptes in a
    page-table page. ``pmd``: page tables are not there from the beginning: pmd entries begin as none, and a page
    table that is allocated takes a frame. ``vmas``: what is mapped at a virtual page can be moved to another.
    ``vm_areas``: VMAs are objects with ranges that are used again.
    ``child_pages``: virtual pages of every mm but mm 0, the last ones (None: all); the others are as if marked by
    madvise(MADV_DONTFORK), and no operation may be asked to touch them there. With no ``mms`` it is a machine of words
    alone: no pages, frames, swap or tasks.
    """

    cpus: int
    mms: int
    anon: int
    private_file: int = 0
    shared_file: int = 0
    frames: int = 0
    swap: int = 0
    arch: str = "64"
    above_4g: bool = True
    mmu: bool = False
    ghost: bool = False
    batch: int = 32
    task_depth: int = 3
    ptrs_per_pte: int = 512
    child_pages: int | None = None
    pmd: bool = False
    vmas: bool = False
    vm_areas: bool = False

    def __post_init__(self) -> None:
        """Check that the machine can exist. Raises `ValueError`."""
        if self.arch not in ARCHES:
            raise ValueError(f"arch {self.arch!r}: it is one of {', '.join(ARCHES)}")
        for name in ("cpus", "task_depth", "batch", "ptrs_per_pte"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.cpus > MOST_CPUS:
            raise ValueError(f"at most {MOST_CPUS} CPUs")
        if self.mms == 0:
            sizes = (self.anon, self.private_file, self.shared_file, self.frames, self.swap)
            if any(sizes) or self.mmu or self.ghost or self.pmd or self.vmas or self.vm_areas:
                raise ValueError("mms must be at least 1 where there are pages, frames, swap slots or MMU caches")
            return
        if self.mms < 1:
            raise ValueError("mms must be at least 1, or 0 for a machine of words alone")
        for name in ("anon", "private_file", "shared_file", "swap"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        if self.ptes < 1:
            raise ValueError("an mm needs at least one virtual page")
        if self.child_pages is not None and not 1 <= self.child_pages <= self.ptes:
            raise ValueError(f"child_pages: 1 to {self.ptes}, the virtual pages of mm 0")
        if self.swap > self.frames:
            raise ValueError("swap slots must not outnumber the frames")
        if self.frames < 2:
            raise ValueError("at least 2 frames: the zero page and one to give out")

    @property
    def ptes(self) -> int:
        """Virtual pages of an mm."""
        return self.anon + self.private_file + self.shared_file

    @property
    def child_ptes(self) -> int:
        """Virtual pages of an mm other than mm 0."""
        return self.ptes if self.child_pages is None else self.child_pages

    @property
    def page_tables(self) -> int:
        """Page-table pages of mm 0."""
        return -(-self.ptes // self.ptrs_per_pte)

    @property
    def child_tables(self) -> int:
        """Page-table pages of an mm other than mm 0: those that its virtual pages lie in."""
        return self.page_tables - (self.ptes - self.child_ptes) // self.ptrs_per_pte

    @property
    def tasks(self) -> int:
        """Task structures."""
        return self.cpus * self.task_depth if self.mms else 0
