"""The engine against the plain explorer: final states and broken checks, on the designs of 2004."""

import pytest

from shm_layout.registers import R_END, R_USER
from stress import designs
from stress.design import Design
from stress.explore import explore
from stress.explore.counterexample.trace import trace
from stress.explore.model.model import build
from stress.explore.reference import reference
from stress.program import Program
from stress.step import NEXT, step
from stress.workload import Workload

WORKLOADS = (
    "fault 0 w | fault 0 w",
    "fault 0 w || zap 0 | swap_out frame=1",
    "fault 0 w | swap_out frame=1",
    "fault 0 w | statm",
    "fault 0 w || fault 0 w | swap_out",
    "fault 0 w; swap_out || fault 0 w | zap 0",
    "fault 0 w || fork; fault 0 w | fault 0 w",
    "fault 0 w || clone; exit | statm",
    "fault 0 w | access_process_vm 0 w mm=0; exec",
    "clone; fault 0 w; exit | zap 0",
    "fault 0 | fault 0 w | zap 0",
)
OF_READS = {"rss_exact", "anon_rss_exact", "rss_bounded", "read_regular", "read_pair"}
"""What the plain explorer does not look at."""


@pytest.mark.parametrize("arch", ["64", "pae"])
@pytest.mark.parametrize("design", ["v12", "v12_sound", "page_table_lock"])
@pytest.mark.parametrize("text", WORKLOADS)
def test_same_ends_and_same_broken_checks(design, arch, text):
    chosen, workload = designs.get(design), Workload.parse(text, arch=arch)
    result = explore(chosen, workload, finals=True)
    truth = reference(chosen, workload)
    assert result.complete
    assert result.finals == truth.finals
    assert result.outcomes == len(truth.finals)
    assert {v.check for v in result.violations} - OF_READS == truth.broken
    model = build(chosen, workload)
    for violation in result.violations:  # each leads in plain Python to the same end, or this raises
        assert trace(model, violation).violation == violation


def test_file_pages_and_an_mmu_cache():
    workload = Workload.parse("fault 1 | truncate 1 | fault 0 w", private_file=0, shared_file=1, mmu=True)
    for name in ("v12", "page_table_lock"):
        result = explore(designs.get(name), workload, finals=True)
        truth = reference(designs.get(name), workload)
        assert result.finals == truth.finals
        assert {v.check for v in result.violations} - OF_READS == truth.broken


@step
def keep_end(m, r):
    r[R_USER] = r[R_END]
    return NEXT


@pytest.mark.parametrize(("text", "end"), [("own", 0), ("own 1", 2), ("own 1-2", 3), ("fork", 3)])
def test_an_operation_of_the_setup_is_given_what_one_of_a_column_is(text, end):
    design = Design("own", 2026, "tests", "keeps R_END", dict.fromkeys(("own", "fork"), Program(keep_end)))
    (column,) = reference(design, Workload.parse(text, anon=3)).finals
    assert column[1][R_USER] == end
    assert build(design, Workload.parse(f"{text} || own", anon=3)).registers[R_USER] == end


def test_shortest_counterexample_is_as_short_as_any_in_the_plain_explorer():
    """Breadth-first by hand over the transitions of the engine, with plain dictionaries."""
    from stress.explore.counterexample.trace import Player

    workload = Workload.parse("fault 0 w | swap_out frame=1")
    design = designs.get("v12")
    violation = explore(design, workload).violation("mapcount")
    level, seen, length = [((), None)], set(), 0
    model = build(design, workload)
    while level:
        length += 1
        following = []
        for schedule, state in level:
            for cpu in (0, 1):
                player = Player(model)
                if state:
                    player.m, player.g = list(state[0]), list(state[1])
                row = player.move(cpu)
                if row is None:
                    continue
                if "mapcount" in row.broken:
                    assert length == violation.length
                    return
                key = (tuple(player.m), tuple(player.g))
                if key not in seen and not row.broken:
                    seen.add(key)
                    following.append(((*schedule, cpu), key))
        level = following
    pytest.fail("no schedule breaks mapcount")
