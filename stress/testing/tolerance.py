"""How far a figure of a process's memory may be off on the running kernel: a number for assertions of other tests."""

from __future__ import annotations

from functools import cache

from shm_layout.errors import UsageError
from stress.live.figures import Explanation, explain, find_figure


@cache
def _explained(threads: int) -> Explanation:
    return explain(threads)


def rss_tolerance(interface: str, threads: int = 1) -> int:
    """By how many pages a figure may be off on this kernel, of a process with `threads` threads, at rest.

    interface: what is read: ``stat``, ``statm``, ``status``, ``psutil`` or ``smaps_rollup`` for the resident size that
    it gives; or one figure, ``VmHWM``, ``ru_maxrss``, ``RssAnon``. threads: the main thread counts, too; the number
    matters on Linux 6.1 and before, where threads keep counts to themselves. A *difference* of two reads may be off by
    twice as much. How the kernel counts is learned when this is first called, within a fraction of a second.

    Raises `UsageError` for a figure that nobody knows, `MachineError` for one that has no bound.

    ::

        def test_a_freed_buffer_is_given_back():
            before = psutil.Process().memory_info().rss
            make_and_free_a_buffer()
            left = (psutil.Process().memory_info().rss - before) // resource.getpagesize()
            assert left <= 16 + 2 * rss_tolerance("psutil")
    """
    if threads < 1:
        raise UsageError(f"rss_tolerance: threads is {threads}: a process has at least 1")
    limit = _explained(threads).bound(find_figure(interface))
    assert limit is not None  # find_figure refuses those without
    return limit.pages
