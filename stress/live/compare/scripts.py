"""Hypothesis strategies for scripts of operations."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from stress.live.compare.family import settle
from stress.live.compare.kernel_run import AREAS, Do, Op

SMALLEST_FIRST: tuple[Do, ...] = (
    *("write", "read", "write", "read", "write", "read", "discard", "fork", "unmap", "map", "exit"),
    *("cut", "protect", "move"),
)
"""What is drawn, as often as it stands here; Hypothesis prefers what comes first when it makes a script smaller."""
MOST_IN_A_BURST = 6
MOST_BURSTS = 8


@st.composite
def _operations(draw: st.DrawFn, pages: int, processes: int, dos: Sequence[Do]) -> Op:
    """Return one operation, possible or not."""
    do = draw(st.sampled_from(dos))
    process = draw(st.integers(0, processes - 1))
    if do in ("fork", "exit"):
        return Op(do, process)
    area = draw(st.sampled_from(AREAS))
    if do in ("map", "unmap"):
        return Op(do, process, area)
    first = draw(st.integers(0, pages - 1))
    return Op(do, process, area, first, draw(st.integers(1, pages - first)))


def scripts(pages: int, processes: int, *, moves: bool = False) -> st.SearchStrategy[tuple[Op, ...]]:
    """Scripts for up to ``processes`` processes with areas of ``pages`` pages; every operation is possible.

    ``moves``: whether pages are moved (mremap), which not every design can follow.

    They are lists of lists, which Hypothesis draws longer than plain ones, and still takes apart well.
    """
    dos = tuple(do for do in SMALLEST_FIRST if moves or do != "move")
    burst = st.lists(_operations(pages, processes, dos), min_size=1, max_size=MOST_IN_A_BURST)
    bursts = st.lists(burst, min_size=1, max_size=MOST_BURSTS)
    return bursts.map(lambda drawn: settle((op for burst in drawn for op in burst), processes, pages)).filter(bool)
