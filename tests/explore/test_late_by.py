"""How far a read may be off follows from the ptes that operations change, not from what they are called."""

from dataclasses import replace

import pytest
import rule_breakers as steps
from folding import FOLD, local_add

from stress.design import Bound
from stress.designs import get
from stress.designs.atomic import READ_POSITIVE, STATM_POSITIVE
from stress.designs.parts.counter import counter_that
from stress.designs.percpu import PRECISE
from stress.designs.v12_sound import on_sound_path
from stress.explore import explore
from stress.explore.counterexample.trace import trace
from stress.explore.model.model import build
from stress.explore.searching.search import Search
from stress.explore.strategies import breadth_first
from stress.explore.strategies.first_look import first_look
from stress.kernel import memory
from stress.kernel.rss import amount
from stress.program import Program
from stress.workload import Workload

SWITCH = Program(memory.mmap_current, amount.rss_up, *FOLD, amount.anon_rss_up, *FOLD)


def folding(operation, statm=PRECISE, **design):
    counter = counter_that(
        (local_add,), statm=statm, status=READ_POSITIVE, stat=READ_POSITIVE, precise=PRECISE, more={operation: SWITCH},
        **design,
    )
    return on_sound_path(f"fold_{operation}", 2026, "tests", "per-CPU counts, folded", counter)


@pytest.mark.parametrize("operation", ["tick", "switch", "context_switch"])
def test_a_torn_fold_breaks_reads_whatever_the_operation_is_called(operation):
    design = folding(operation)
    called = operation if operation == "tick" else f"{operation} 0"
    workload = Workload.parse(f"fault 0 w || {called} | statm")
    result = explore(design, workload)
    assert result.complete
    (violation,) = (v for v in result.violations if v.check == "read_regular")
    shown = trace(build(design, workload), violation).rows[-1].details[-1]
    assert "resident 2 (true: 1 to 1)" in shown


def test_the_precise_sum_of_an_exact_design_is_judged():
    result = explore(folding("switch"), Workload.parse("fault 0 w || switch 0 | precise"))
    assert "read_regular" in {violation.check for violation in result.violations}
    assert not explore(get("percpu"), Workload.parse("fault 0 w || fault 1 w | precise")).violations


def test_an_operation_whose_pages_are_not_its_arguments_may_be_late_for_all_that_it_changes():
    workload = Workload.parse("fault 0 w; fault 1 w || zap_all 0 | statm")
    result = explore(steps.ZAP_ALL, workload)
    assert result.complete
    assert result.violations == ()


def test_a_design_can_declare_by_how_much_an_operation_may_be_late():
    workload = Workload.parse("fault 0 w || switch 0 | statm")
    sound = folding("switch")
    assert {"read_regular"} <= {v.check for v in explore(sound, workload).violations}
    declared = replace(sound, late_by={"switch": 1})
    assert "read_regular" not in {v.check for v in explore(declared, workload).violations}


TAUGHT = [
    "fault 0 w; zap 0 | fault 1 w; swap_out | fault 0 w; statm",
    "fault 0 w || fork; exit | statm",
    "fault 0 w || zap 0; fault 0 w | swap_out | status",
]


@pytest.mark.parametrize("text", TAUGHT)
def test_learning_before_a_search_spares_searches_and_changes_no_result(text, monkeypatch):
    begun = []

    class Counted(Search):
        def __init__(self, *arguments, **options):
            begun.append(1)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(breadth_first, "Search", Counted)
    workload = Workload.parse(text)
    with_it = explore(get("v12_sound"), workload)
    searches = len(begun)
    monkeypatch.setattr(breadth_first, "learns_in_turn", lambda model: False)
    without = explore(get("v12_sound"), workload)
    assert len(begun) - searches > searches
    assert replace(with_it, seconds=0, bytes=0) == replace(without, seconds=0, bytes=0)


WRONG = [({"nap": 1}, "none of its operations"), ({"fault": -1}, "number of pages")]


@pytest.mark.parametrize(("late_by", "what"), WRONG)
def test_a_wrong_declaration_is_refused(late_by, what):
    with pytest.raises(ValueError, match=what):
        steps.design("late", late_by=late_by, fault=(steps.nothing,))


def test_a_first_look_learns_what_operations_change():
    looked = first_look(steps.ZAP_ALL, "64", ["fault", "zap", "zap_all", "statm"])
    assert looked.late_by["zap_all"] > 1000
    assert looked.late_by["statm"] == 0
    assert "fault" not in looked.late_by
    assert first_look(get("v12"), "64", ["fault"]) is get("v12")
    unbound = folding("switch", STATM_POSITIVE, bound=Bound("none", _none))
    assert first_look(unbound, "64", ["switch"]).late_by == {"switch": 0}


def _none(cpus, threads, batch):
    return None
