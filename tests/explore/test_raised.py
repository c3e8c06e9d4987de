"""A failed assertion in a step or check is check `user`; any other exception is an error of the design."""

import pytest
import rule_breakers as steps

from stress.explore import explore, search
from stress.explore.counterexample.trace import trace
from stress.explore.model.model import SetupError, build
from stress.explore.model.raised import DesignError
from stress.workload import Workload

ASSERTS = steps.design("asserts", w=(steps.set_x, steps.clear_x), t=(steps.nothing, steps.x_is_clear))
ERRORS = {
    "divide": (steps.design("divides", t=(steps.divide,)), "t 0", "ZeroDivisionError"),
    "divide_privately": (steps.design("p", t=(steps.nothing, steps.divide_privately)), "t 0", "ZeroDivisionError"),
    "raise_error": (steps.design("r", w=(steps.set_x,), t=(steps.raise_error,)), "w 0 | t 0", "ValueError: x is set"),
    "check_that_divides": (
        steps.design("check", (steps.check_that_divides,), t=(steps.nothing,)),
        "t 0",
        "ZeroDivisionError",
    ),
}
STRATEGIES = ["breadth-first", "random", "pct", "preemption"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_failed_assertion_in_a_step_breaks_user(strategy):
    result, model = search(ASSERTS, Workload.parse("w 0 | t 0"), strategy=strategy)
    (violation,) = result.violations
    assert violation.check == "user"
    found = trace(model, violation)
    assert found.rows[-1].step == "x_is_clear"
    assert found.rows[-1].broken == ("user",)
    assert found.wrong.startswith("step x_is_clear fails in 't 0' of CPU 1")
    assert "x is set" in found.wrong


def test_the_shortest_way_to_a_failed_assertion_is_given():
    (violation,) = explore(ASSERTS, Workload.parse("w 0 | t 0")).violations
    assert violation.length == 3


def test_an_assertion_that_no_schedule_fails_breaks_nothing():
    result = explore(ASSERTS, Workload.parse("t 0 | t 0"))
    assert result.complete
    assert result.violations == ()


def test_a_failed_assertion_in_a_check_breaks_user():
    design = steps.design("check", (steps.check_that_asserts,), t=(steps.set_x,))
    workload = Workload.parse("t 0")
    (violation,) = explore(design, workload).violations
    assert (violation.check, violation.at_rest) == ("user", True)
    assert "check_that_asserts" in trace(build(design, workload), violation).wrong


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", ERRORS)
def test_an_exception_names_the_step_and_its_line(name, strategy):
    design, text, error = ERRORS[name]
    with pytest.raises(DesignError) as caught:
        search(design, Workload.parse(text), strategy=strategy)
    message = str(caught.value)
    assert name in message
    assert error in message
    assert "rule_breakers.py, line " in message


SETUPS = {
    "divide": (steps.design("divides", t=(steps.divide,)), "t 0 || t 0", "ZeroDivisionError"),
    "x_is_clear": (ASSERTS, "w 0; t 0 || t 0", None),
    "below_zero": (steps.design("below", t=(steps.below_zero,)), "t 0 || t 0", "word -1 of"),
    "out_of_bounds": (steps.design("out", t=(steps.out_of_bounds,)), "t 0 || t 0", "is written"),
    "write_constant": (steps.design("constant", t=(steps.write_constant,)), "t 0 || t 0", "constant"),
    "no_such_register": (steps.design("register", t=(steps.no_such_register,)), "t 0 || t 0", "word 1,000 of"),
}


@pytest.mark.parametrize("name", SETUPS)
def test_an_exception_in_the_setup_names_the_step(name):
    design, text, error = SETUPS[name]
    if error is None:
        assert explore(design, Workload.parse(text)).violations == ()  # x is clear again
        return
    with pytest.raises(DesignError) as caught:
        explore(design, Workload.parse(text))
    assert f"step {name} raises an exception in 't 0' of the setup" in str(caught.value)
    assert error in str(caught.value)


def test_a_failed_assertion_in_the_setup_says_where_it_can_be_explored():
    sets = steps.design("sets", s=(steps.set_x,), t=(steps.x_is_clear,))
    with pytest.raises(SetupError, match="breaks user, in step x_is_clear: assert x is set"):
        explore(sets, Workload.parse("s 0; t 0 || t 0"))


def test_a_step_of_the_setup_that_counts_its_tries_comes_to_its_end():
    counts = steps.design("counts", t=(steps.wait_three_times,))
    assert explore(counts, Workload.parse("t 0 || t 0")).complete
