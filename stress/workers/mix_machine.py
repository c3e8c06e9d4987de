"""The machine for a run: address spaces, frames and swap slots that a mix of operations can use."""

from __future__ import annotations

from collections.abc import Mapping

from shm_layout.machine import Machine

COPIES = 65536
"""The most frames for copies that children write to, whatever the size of the machine."""
CHILD_PAGES = 8192
"""The most virtual pages of a started mm, which has the last ones. With more, its page table takes much memory, and
workers do little else than look through it at every exit."""
MOST_MMS = 33


def machine_for(
    mix: Mapping[str, float],
    *,
    workers: int,
    pages: int,
    file_pages: int,
    arch: str,
    above_4g: bool,
    mmu: bool = False,
    batch: int = Machine.batch,
) -> Machine:
    """Return a machine on which ``workers`` perform this mix.

    ``pages``: anonymous pages of the first mm; ``file_pages``: pages of the file, half of them mapped privately.
    ``batch``: of per-CPU counters, in pages, as the design's `stress.design.Bound` has it. A mix
    without fork and exec has one mm; with them as many as the workers can have started, which have the same pages, or
    the last `CHILD_PAGES` of them, so that a fork copies no others. There is a frame for every
    page of the first mm and of the file, and for copies in the others as far as `COPIES`; where frames run out a
    fault ends without effect, as a kernel without memory would have it. Swap slots only for a mix that swaps out.
    """
    more_mms = sum(
        2 * workers if operation == "fork" else workers for operation in ("fork", "exec") if mix.get(operation)
    )
    mms = 1 + min(more_mms, MOST_MMS - 1)
    private = file_pages // 2
    copies = min((pages + private) * (mms - 1) + private, COPIES)
    spare = 16 * workers  # each worker may hold pages that it takes back, or copies
    frames = 1 + pages + file_pages + copies + spare
    return Machine(
        cpus=workers,
        mms=mms,
        anon=pages,
        private_file=private,
        shared_file=file_pages - private,
        frames=frames,
        swap=max(1, pages // 2) if mix.get("swap_out") else 0,
        arch=arch,
        above_4g=above_4g,
        mmu=mmu,
        batch=batch,
        child_pages=min(pages + file_pages, CHILD_PAGES),
    )
