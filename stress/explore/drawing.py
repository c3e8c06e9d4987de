"""Hypothesis strategies for workloads that the explorer can try completely."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from stress.design import READS, Design
from stress.workload import Operation, Workload

MOST_CPUS = 3
MOST_PER_CPU = 2
"""Operations of one CPU: what two CPUs cannot do to each other in two operations, three rarely can."""
MOST_SETUP = 3
ANON, PRIVATE_FILE, SHARED_FILE = 2, 1, 1
"""Virtual pages of a machine whose design is drawn workloads for, where a workload uses files; else `ANON`."""

WITH_PAGE = ("fault", "zap", "access_process_vm", "use_mm")
WITH_WRITE = ("fault", "access_process_vm", "use_mm")
FILE_ONLY = ("truncate",)
WITH_MM = ("access_process_vm", "use_mm", *READS)
SMALLEST_FIRST = ("fault", "zap", "swap_out", *READS, "clone", "exit", "fork", "exec", "truncate")
"""The order in which Hypothesis prefers operations when it makes a workload smaller."""


def kinds_of(design: Design) -> tuple[str, ...]:
    """Operations that workloads for this design are drawn from."""
    known = [kind for kind in SMALLEST_FIRST if kind in design.programs]
    return (*known, *(kind for kind in design.programs if kind not in known and kind != "precise"))


def operations(kinds: Sequence[str], anon: int, pages: int, mms: int) -> st.SearchStrategy[Operation]:
    """One operation of these kinds on a machine of this size, of whose pages the first ``anon`` are anonymous."""

    def of_kind(kind: str) -> st.SearchStrategy[Operation]:
        page = st.integers(anon, pages - 1) if kind in FILE_ONLY else st.integers(0, pages - 1)
        if kind not in WITH_PAGE and kind not in FILE_ONLY:
            page = st.just(-1)
        write = st.sampled_from([True, False]) if kind in WITH_WRITE else st.just(False)
        arg = st.integers(0, mms) if kind in WITH_MM else st.just(0)
        return st.builds(
            lambda p, w, a: Operation(kind, max(p, 0), p + 1 if p >= 0 else 0, w, a), page, write, arg
        )

    return st.sampled_from([k for k in kinds if k not in FILE_ONLY or pages > anon]).flatmap(of_kind)


@st.composite
def workloads(
    draw: st.DrawFn, kinds: Sequence[str], arch: str, setup_kinds: Sequence[str] | None = None
) -> Workload:
    """A workload of a few CPUs with a few operations each.

    ``setup_kinds``: operations of the setup, the same where it is None.
    """
    files = draw(st.sampled_from([False, False, True])) if "truncate" in kinds else False
    anon = draw(st.integers(1, ANON))
    private, shared = (PRIVATE_FILE, SHARED_FILE) if files else (0, 0)
    pages = anon + private + shared
    cpus = draw(st.integers(1, MOST_CPUS))
    mms = 2
    each = operations(kinds, anon, pages, mms)
    before = operations(setup_kinds or kinds, anon, pages, mms)
    setup = draw(st.lists(st.tuples(st.integers(0, cpus - 1), before), max_size=MOST_SETUP))
    columns = draw(st.lists(st.lists(each, min_size=1, max_size=MOST_PER_CPU), min_size=cpus, max_size=cpus))
    return Workload.of(
        columns,
        setup,
        arch=arch,
        anon=anon,
        private_file=private,
        shared_file=shared,
        mms=mms + 1,
        swap=2,
        frames=1 + 2 * pages + cpus,
        mmu=draw(st.booleans()),
        above_4g=draw(st.booleans()) if arch == "pae" else True,
        ghost=True,
        batch=2,
        task_depth=3,
    )
