"""Drawn scripts on the real kernel against a page-set model in plain Python that shares no code with it."""

import copy
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stress.live.compare.kernel_run import AREAS, KernelRun, Op, kernel_run
from stress.live.figures import BY_NAME, bound_of
from stress.live.reading.accounting import by_version
from stress.live.reading.machine import kernel_release, kernel_version, online_cpus, page_size

PAGES = 8
PROCESSES = 4
THREADS = 2


class Pages:
    """Which page of which area is mapped, and as what, in a family of processes."""

    def __init__(self):
        self.processes = {0: self.fresh()}

    @staticmethod
    def fresh():
        return {area: {"pages": {}, "copied": False} for area in AREAS}

    def read_page(self, area, name, index):
        area["pages"].setdefault(index, {"anon": "zero", "file": "file", "shmem": "shmem"}[name])

    def write_page(self, area, name, index):
        if name == "shmem":
            area["pages"][index] = "shmem"
        else:
            area["pages"][index] = "anon"
            area["copied"] = True

    def fork_area(self, area):
        """fork leaves to faults what faults can bring back: areas that never held an anonymous page."""
        return copy.deepcopy(area) if area["copied"] else {**area, "pages": {}}

    def apply(self, op):
        areas = self.processes[op.process]
        area = areas[op.area]
        span = range(op.first, op.first + op.count)
        if op.do == "fork":
            free = min(set(range(PROCESSES)) - set(self.processes))
            self.processes[free] = {name: self.fork_area(area) for name, area in areas.items()}
        elif op.do == "exit":
            del self.processes[op.process]
        elif op.do in ("map", "unmap"):
            areas[op.area] = {"pages": {}, "copied": False, "gone": op.do == "unmap"}
        else:
            for index in span:
                if op.do == "read":
                    self.read_page(area, op.area, index)
                elif op.do == "write":
                    self.write_page(area, op.area, index)
                else:
                    area["pages"].pop(index, None)

    def possible(self, op):
        gone = self.processes[op.process][op.area].get("gone", False)
        if op.do == "fork":
            return len(self.processes) < PROCESSES
        if op.do == "exit":
            return op.process != 0
        return op.do == "map" or not gone

    def counts(self):
        return {
            number: tuple(
                sum(list(area["pages"].values()).count(kind) for area in areas.values())
                for kind in ("anon", "file", "shmem")
            )
            for number, areas in self.processes.items()
        }


class CopiesEverything(Pages):
    """Wrong: fork copies file and shared pages too."""

    def fork_area(self, area):
        return copy.deepcopy(area)


class CountsZero(Pages):
    """Wrong: the zero page counts as anonymous."""

    def read_page(self, area, name, index):
        area["pages"].setdefault(index, {"anon": "anon", "file": "file", "shmem": "shmem"}[name])


class NeverCopies(Pages):
    """Wrong: a private write to a file page leaves it a file page."""

    def write_page(self, area, name, index):
        area["pages"][index] = name
        area["copied"] = True


class KeepsDiscarded(Pages):
    """Wrong: discarding does nothing."""

    def apply(self, op):
        if op.do != "discard":
            super().apply(op)


@st.composite
def raw_ops(draw):
    first = draw(st.integers(0, PAGES - 1))
    do = draw(st.sampled_from(["read", "write", "read", "write", "discard", "fork", "exit", "unmap", "map"]))
    return Op(
        do,
        draw(st.integers(0, PROCESSES - 1)),
        draw(st.sampled_from(AREAS)),
        first,
        draw(st.integers(1, PAGES - first)),
    )


SCRIPTS = st.lists(raw_ops(), min_size=1, max_size=25)


def run_both(kernel: KernelRun, model: Pages, script):
    """Run a script on both, counts compared after each operation; what cannot be done is left out."""
    kernel.reset()
    for drawn in script:
        running = kernel.processes
        op = replace(drawn, process=running[drawn.process % len(running)])
        if not model.possible(op):
            continue
        model.apply(op)
        kernel.apply(op)
        found = {n: (r.anon, r.file, r.shmem) for n, r in kernel.counts().items()}
        assert found == model.counts(), op


@pytest.fixture(scope="module")
def kernel():
    with kernel_run(PAGES, PROCESSES) as run:
        yield run


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(SCRIPTS)
def test_pages_equal_the_model_and_counters_keep_their_bounds(kernel, script):
    run_both(kernel, Pages(), script)
    assert kernel.counts(by_smaps=True) == kernel.counts()
    ways = by_version(kernel_version(kernel_release()), online_cpus())
    for number, errors in kernel.errors().items():
        for (interface, name), error in errors.items():
            limit = bound_of(BY_NAME[interface, name], ways, online_cpus(), THREADS, page_size())
            assert abs(error) <= limit.pages, (number, interface, name, error, limit)


@pytest.mark.parametrize("wrong", [CopiesEverything, CountsZero, NeverCopies, KeepsDiscarded])
def test_a_wrong_model_is_caught(kernel, wrong):
    @settings(
        max_examples=300,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(SCRIPTS)
    def compare(script):
        run_both(kernel, wrong(), script)

    with pytest.raises(AssertionError):
        compare()


def test_what_cannot_be_done_is_refused(kernel):
    kernel.reset()
    with pytest.raises(ValueError, match="process 0 cannot exit"):
        kernel.apply(Op("exit"))
    with pytest.raises(KeyError):
        kernel.apply(Op("read", 3))
    kernel.apply(Op("unmap"))
    for op in (Op("write"), Op("write", 0, "file", PAGES), Op("read", 0, "file", 0, PAGES + 1)):
        with pytest.raises(ValueError, match="no such pages are mapped"):
            kernel.apply(op)
    kernel.reset()
    for _ in range(PROCESSES - 1):
        kernel.apply(Op("fork"))
    with pytest.raises(ValueError, match="processes already"):
        kernel.apply(Op("fork"))
    kernel.reset()
    assert kernel.processes == [0]
