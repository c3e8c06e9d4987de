"""A new operation is one value and one program: every engine and strategy takes it as the value says."""

import pytest
from hypothesis import find, given
from hypothesis import strategies as st

from shm_layout.errors import UsageError
from stress import designs
from stress.explore import explore
from stress.explore.hunt.workloads import kinds_of, variants
from stress.operation import COPY, EACH, KINDS, ONE, PAGE, RANGE, WRITE, Kind, Operation, declare
from stress.testing import calls, small_machine
from stress.workers.loop.source import source
from stress.workers.mix import default_mix
from stress.workload import Workload

MADVISE = Kind(
    "madvise",
    "MADV_DONTNEED: take the pages of a range away",
    frozenset((PAGE, RANGE)),
    needs_page=True,
    unmaps=EACH,
    on_own_mm=True,
    hunt_rank=2,
)
POPULATE = Kind("populate", "fault a page in ahead of its use", frozenset((PAGE, WRITE)), True, maps=ONE, unmaps=COPY)
_BASE = designs.get("v12_sound")
DESIGN = _BASE.with_programs(madvise=_BASE.programs["zap"], populate=_BASE.programs["fault"])


@pytest.fixture(autouse=True)
def _declared():
    declare(MADVISE)
    declare(POPULATE)
    yield
    del KINDS["madvise"], KINDS["populate"]


def test_a_workload_has_the_new_operation():
    workload = Workload.parse("populate 1 w; madvise 0-1 | fault 0")
    assert workload.cpus[0] == (Operation("populate", 1, 2, write=True), Operation("madvise", 0, 2))
    assert str(workload) == "populate 1 w; madvise 0-1 | fault 0"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("madvise", "needs a page, as in `madvise 0`"),
        ("madvise 0 w", "madvise takes a page 0, pages 0-3"),
        ("populate 0-1", "populate takes a page 0, w"),
    ],
)
def test_what_it_does_not_take_is_refused(text, said):
    with pytest.raises(UsageError, match=said):
        Workload.parse(text)


def test_the_explorer_performs_it():
    result = explore(DESIGN, Workload.parse("populate 0 w; madvise 0 | fault 0 w | statm"))
    assert result.complete
    assert not result.violations


def test_hunt_draws_what_it_takes():
    assert kinds_of(DESIGN).index("madvise") < kinds_of(DESIGN).index("swap_out")
    assert variants("madvise", 2, 2) == [Operation("madvise", 0, 1), Operation("madvise", 1, 2)]
    assert Operation("populate", 1, 2, write=True) in variants("populate", 2, 2)


@given(st.data())
def test_tests_of_users_draw_what_it_takes(data):
    call = data.draw(calls(small_machine(), ["madvise", "populate"]))
    assert not (call.write and call.name == "madvise")
    assert call.address < call.end or call.name == "populate"


def test_tests_of_users_draw_a_new_operation():
    assert find(calls(small_machine(), list(DESIGN.programs)), lambda call: call.name == "madvise")


def test_workers_draw_and_judge_it_as_its_kind_says():
    text, _ = source(DESIGN, "64", ("madvise", "populate", "zap", "statm"))
    begin = {name: text.split(f"def do_{name}(")[1].split("status =")[0] for name in ("madvise", "populate", "zap")}
    of = {name: lines.split("begin(b, r, ")[1].split(", ", 1)[1] for name, lines in begin.items()}
    assert of["madvise"] == of["zap"]
    assert of["populate"] != of["zap"]
    assert text.count("random_range(m, b, r, x, current_mm(m, r))") == 2
    assert text.count("random_page(m, b, r, x, current_mm(m, r))") == 1
    assert default_mix(DESIGN)["madvise"] > 0


def test_another_operation_of_a_name_is_refused():
    declare(Kind(**{**vars(MADVISE)}))
    with pytest.raises(ValueError, match="another operation 'madvise'"):
        declare(Kind("madvise", "something else"))
