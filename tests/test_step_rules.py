"""What steps, helpers and checks may say: each rule with what breaks it, and the line that is printed."""

import importlib.util
import itertools
import re
import sys
import textwrap

import pytest

from shm_layout.errors import UsageError
from stress import checks, designs
from stress.design import Bound, Design
from stress.design_rules import check_design, without_effect
from stress.program import Program
from stress.resolve import resolve_design
from stress.step import helpers, possible_outcomes, step
from stress.step_rules import Reading, RuleBroken, check_body, check_check, goes_on

HEAD = """\
import enum, math, os, random, time
from collections import namedtuple
import numpy as np
from shm_layout.atomic import cmpxchg, fetch_add, load, read_once, write_once
from shm_layout.registers import R_OOPS, R_USER, R_VALUE
from shm_layout.structs import MM_RSS, PAGE_STRIDE, at, zone_struct
from stress.checks import HOLDS
from stress.design import Bound, Design
from stress.program import Program
from stress.step import DONE, NEXT, WAIT, helper, step

NUMBERS, TUPLE, TABLE = [1, 2], (1, 2), {1: 2}
COUNT = 0
POINT = namedtuple("POINT", "x y")(1, 2)

class Thing:
    value = 3
    def method(self): return 1

THING = Thing()

def plain(x):
    return x + 1

@step
def other(m, r):
    return NEXT

@helper
def twice(x):
    return 2 * x

@helper
def bad_helper(x):
    return plain(x)
"""
FIRST = HEAD.count("\n") + 1
"""The line after the head."""
TAIL = '\nD = Design(name="mine", year=2026, source="s", summary="s", programs={"t": Program(f)})\n'
_names = itertools.count()


def module_of(folder, text):
    """A module of this text, under a name of its own."""
    path = folder / f"rules_{next(_names)}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(f"rules_{path.stem}_{next(_names)}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def step_with(folder, body, declare="@step"):
    text = f"{HEAD}{declare}\ndef f(m, r):\n{textwrap.indent(body, '    ')}\n"
    return module_of(folder, text)


REFUSED = {
    "a number": ("return 0", 2, "returns 0: return NEXT, DONE, WAIT or a label, by its name"),
    "True": ("return True", 2, "returns True"),
    "nothing": ("return", 2, "returns nothing"),
    "one of two that is none": ("return NEXT if r[R_VALUE] else None", 2, "returns None"),
    "a local name": ("DONE = NEXT\nreturn DONE", 3, "returns DONE"),
    "a parameter": ("return r", 2, "returns r"),
    "no path": ("pass", 0, "can end without an outcome"),
    "one path without": ("if r[0]:\n    return NEXT", 0, "can end without an outcome"),
    "a loop without": ("while r[0]:\n    return NEXT", 0, "can end without an outcome"),
    "a range without": ("for i in range(3):\n    return NEXT", 0, "can end without an outcome"),
    "a loop that breaks": ("while True:\n    if r[0]:\n        break\n    return NEXT", 0, "can end without"),
    "a match without": ("match r[0]:\n    case 1:\n        return NEXT", 0, "can end without an outcome"),
    "a loop for ever": ("while True:\n    r[R_VALUE] = 1", 0, "never returns"),
    "WAIT, undeclared": ("return WAIT if r[0] else NEXT", 2, "returns WAIT: declare it with @step(waits=True)"),
    "a name that is nowhere": ("r[0] = NOWHERE\nreturn NEXT", 2, "takes NOWHERE, which is defined nowhere"),
    "a list": ("r[0] = NUMBERS[0]\nreturn NEXT", 2, "takes NUMBERS, a list, which may change"),
    "a dict": ("r[0] = TABLE[1]\nreturn NEXT", 2, "takes TABLE, a dict"),
    "a plain function": (
        "r[0] = plain(1)\nreturn NEXT",
        2,
        "calls plain, which is not compiled: declare it with @helper",
    ),
    "a helper's plain function": ("r[0] = bad_helper(1)\nreturn NEXT", None, "helper bad_helper calls plain"),
    "a step": ("return NEXT if other(m, r) == NEXT else DONE", 2, "calls the step other"),
    "too few arguments": ("write_once(m, 1)\nreturn NEXT", 2, "calls write_once with 2 arguments: it takes (m, i, v)"),
    "too many arguments": ("r[0] = twice(1, 2)\nreturn NEXT", 2, "calls twice with 2 arguments: it takes (x)"),
    "stride of another structure": (
        "write_once(m, at(m, MM_RSS, PAGE_STRIDE, r[0] + 1), 2)\nreturn NEXT",
        2,
        "gives MM_RSS, a field of mm_struct, the stride PAGE_STRIDE: write at(m, MM_RSS, r[0] + 1)",
    ),
    "named arguments": ("write_once(m, i=1, v=2)\nreturn NEXT", 2, "calls write_once with i=: pass its arguments by"),
    "a method of m": ("m.append(1)\nreturn NEXT", 2, "takes m.append: m is words"),
    "an attribute of r": ("r.value = 1\nreturn NEXT", 2, "takes r.value: r is words"),
    "a method of an object": ("r[0] = THING.method()\nreturn NEXT", 2, "calls THING.method, which is not compiled"),
    "a class": ("r[0] = Thing().value\nreturn NEXT", 2, "calls Thing, which is not compiled"),
    "a member that is not there": ("r[0] = math.flor(1.5)\nreturn NEXT", 2, "calls math.flor, which is not there"),
    "chance": ("r[0] = random.random() < 0.5\nreturn NEXT", 2, "calls random.random: a step does the same each time"),
    "numpy's chance": ("r[0] = np.random.randint(3)\nreturn NEXT", 2, "a step does the same each time"),
    "the time": ("r[0] = time.time()\nreturn NEXT", 2, "calls time.time"),
    "the process": ("r[0] = os.getpid()\nreturn NEXT", 2, "calls os.getpid"),
    "a file": ("open('x')\nreturn NEXT", 2, "calls open, which is not compiled"),
    "eval": ("r[0] = eval('1')\nreturn NEXT", 2, "calls eval"),
    "with": ("with open('x'):\n    return NEXT", 2, "uses with"),
    "del": ("x = 1\ndel x\nreturn NEXT", 3, "uses del"),
    "an import": ("import math\nreturn NEXT", 2, "import at the top of the file"),
    "an import from": ("from math import pi\nreturn NEXT", 2, "import at the top of the file"),
    "a class within": ("class A:\n    pass\nreturn NEXT", 2, "uses a class within a function"),
    "a global that it sets": ("global COUNT\nCOUNT = 1\nreturn NEXT", 2, "changes the global COUNT"),
    "a generator expression": ("r[0] = sum(i for i in range(3))\nreturn NEXT", 2, "uses a generator expression"),
    "a set comprehension": ("r[0] = len({i for i in range(3)})\nreturn NEXT", 2, "uses a set comprehension"),
    "a star": ("a, *b = (1, 2, 3)\nreturn NEXT", 2, "uses a starred name"),
    "a pattern of a sequence": (
        "match (r[0], r[1]):\n    case (0, 1):\n        return NEXT\n    case _:\n        return DONE",
        3,
        "of a sequence",
    ),
    "an exception by its kind": (
        "try:\n    r[0] = 1\nexcept ValueError:\n    r[0] = 2\nreturn NEXT",
        4,
        "catches one kind",
    ),
    "an exception by name": (
        "try:\n    r[0] = 1\nexcept Exception as e:\n    r[0] = 2\nreturn NEXT",
        4,
        "without a name",
    ),
    "raising again": ("try:\n    r[0] = 1\nexcept Exception:\n    raise\nreturn NEXT", 5, "raises again"),
    "an exception group": ("try:\n    r[0] = 1\nexcept* ValueError:\n    r[0] = 2\nreturn NEXT", 2, "uses except*"),
    "a number too large": ("r[0] = 99999999999999999999999\nreturn NEXT", 2, "a number of 77 bits"),
    "@": ("r[0] = r[1] @ r[2]\nreturn NEXT", 2, "uses @"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_step_must_not_say_is_refused_with_its_line(tmp_path, name):
    body, line, said = REFUSED[name]
    module = step_with(tmp_path, body)
    with pytest.raises(RuleBroken) as refused:
        possible_outcomes(module.f)
    message = str(refused.value)
    assert said in message
    assert "\n" not in message
    if line is not None:
        # "@step" stands in the first line after the head, "def" in the second.
        assert message.startswith(f"{module.__file__}, line {FIRST + line}: step f ")


ALLOWED = {
    "assert": "assert r[0] == 0, 'no'\nreturn NEXT",
    "raise": "if r[0]:\n    raise ValueError('no')\nreturn NEXT",
    "only a raise beside": "if r[0]:\n    return NEXT\nraise ValueError",
    "if and else": "if r[0]:\n    return NEXT\nelif r[1]:\n    return DONE\nelse:\n    return NEXT",
    "while True": "while True:\n    if r[0]:\n        return NEXT\n    r[0] = 1",
    "an inner loop that breaks": "while True:\n    for i in range(3):\n        break\n    return NEXT",
    "match with all": "match r[0]:\n    case 1:\n        return NEXT\n    case _:\n        return DONE",
    "a for that ends in else": "for i in range(3):\n    r[0] = i\nelse:\n    return NEXT",
    "try": "try:\n    r[0] = 1\nexcept Exception:\n    return DONE\nreturn NEXT",
    "finally": "try:\n    r[0] = 1\nfinally:\n    r[1] = 2\nreturn NEXT",
    "assert False at the end": "if r[0]:\n    return NEXT\nassert False",
    "a constant": "r[0] = TUPLE[0] + POINT.x + COUNT\nreturn NEXT",
    "a helper": "r[0] = twice(2)\nreturn NEXT",
    "built-in functions": "r[0] = min(max(abs(r[0]), 1), math.floor(2.5))\nreturn NEXT",
    "numpy": "r[0] = np.int64(3)\nreturn NEXT",
    "a list": "x = [i for i in range(3)]\nx.append(1)\nr[0] = x[0]\nreturn NEXT",
    "a function within": "def g(x):\n    return x + 1\nr[0] = g(1)\nreturn NEXT",
    "a lambda within": "g = lambda x: x + 1\nr[0] = g(1)\nreturn NEXT",
    "a global that it reads": "global COUNT\nr[0] = COUNT\nreturn NEXT",
    "the largest numbers": "r[0] = 0x7FFF_FFFF_FFFF_FFFF\nr[1] = -0x8000_0000_0000_0000\nreturn NEXT",
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_a_step_may_say_is_taken(tmp_path, name):
    assert possible_outcomes(step_with(tmp_path, ALLOWED[name]).f)


def test_a_private_step_that_waits_is_refused_with_its_line(tmp_path):
    module = step_with(tmp_path, "return WAIT", "@step(private=True)")
    with pytest.raises(RuleBroken, match=rf"line {FIRST + 2}: step f is private and may return WAIT"):
        possible_outcomes(module.f)


def test_all_that_may_be_said_compiles(tmp_path):
    from numba import njit, types

    from shm_layout import lowering  # noqa: F401
    from stress.compiling.modules import _register_helpers

    words = types.CPointer(types.int64)
    modules = [step_with(tmp_path, body) for body in ALLOWED.values()]
    _register_helpers()
    for module in modules:
        njit(module.f, no_cpython_wrapper=True, no_cfunc_wrapper=True).compile((words, words))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("@step\ndef f():\n    return NEXT", "step f takes (): write def f(m, r)"),
        ("@step\ndef f(m):\n    return NEXT", "step f takes (m): write def f(m, r)"),
        ("@step\ndef f(m, r, x):\n    return NEXT", "step f takes (m, r, x): write def f(m, r)"),
        ("@step\ndef f(m, r, *, x):\n    return NEXT", "write def f(m, r)"),
        ("@step\ndef f(m, r):\n    yield NEXT", "step f yields: return the outcome"),
        ("@step\nasync def f(m, r):\n    return NEXT", "step f is async"),
        ("@step\nasync def f(m, r):\n    yield NEXT", "step f is async"),
        ("f = step(lambda m, r: NEXT)", "is a lambda: write it with def"),
        ("f = step(Thing)", "step Thing is no function of Python"),
        ("f = step(3)", "step 3 is no function of Python"),
        ("f = step(print)", "step print is no function of Python"),
        ("@helper\ndef f(x):\n    yield x", "helper f yields"),
        ("f = helper(Thing())", "is no function of Python"),
    ],
)
def test_what_cannot_be_a_step_is_refused_where_it_is_declared(tmp_path, written, said):
    path = tmp_path / "mine.py"
    path.write_text(HEAD + written + TAIL)
    with pytest.raises(UsageError, match=re.escape(said)) as refused:
        resolve_design(f"{path}:D")
    assert str(refused.value).startswith(f"{path}, line ")
    assert "\n" not in str(refused.value)


def test_a_step_whose_closure_changed_is_refused(tmp_path):
    made = "\nFOUND = []\ndef make():\n    for i in range(2):\n        @step\n        def f(m, r):\n"
    module = module_of(
        tmp_path, HEAD + made + "            r[R_USER] = i\n            return NEXT\n        FOUND.append(f)\nmake()\n"
    )
    with pytest.raises(RuleBroken, match="takes i from around it, which was 0 there and is 1 now"):
        possible_outcomes(module.FOUND[0])
    assert possible_outcomes(module.FOUND[1])


def test_a_step_made_by_a_function_of_a_number_or_a_label_is_taken(tmp_path):
    made = "\ndef make(i, way):\n    @step\n    def f(m, r):\n        r[R_USER] = i\n        return way\n    return f\n"
    module = module_of(tmp_path, HEAD + made + "F = [make(i, DONE) for i in range(2)]\n")
    assert [possible_outcomes(f) for f in module.F] == [{module.DONE}] * 2


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("def c(m):\n    return m[1] == 0", "returns m[1] == 0, which is True or False: return HOLDS, or the number"),
        ("def c(m):\n    return not m[1]", "which is True or False"),
        ("def c(m):\n    return m[1] == 0 and m[2] == 1", "which is True or False"),
        ("def c(m):\n    return True", "returns True"),
        ("def c(m):\n    return False", "returns False"),
        ("def c(m):\n    return HOLDS if m[1] else None", "returns None"),
        ("def c(m):\n    return 1.5", "returns 1.5"),
        ("def c(m):\n    return m[1] / 2", "returns m[1] / 2"),
        ("def c(m):\n    return 'x'", "returns 'x'"),
        ("def c(m):\n    return", "returns nothing"),
        ("def c(m):\n    if m[1]:\n        return HOLDS", "can end without a return: return HOLDS, or the number"),
        ("def c(m):\n    pass", "can end without a return"),
        ("def c():\n    return HOLDS", "check c takes (): write def c(m) or def c(m, w)"),
        ("def c(m, w, x):\n    return HOLDS", "write def c(m) or def c(m, w)"),
        ("def c(m):\n    yield HOLDS", "check c yields"),
        ("async def c(m):\n    return HOLDS", "check c is async"),
        ("def c(m):\n    return plain(m[1])", "calls plain, which is not compiled"),
        ("def c(m):\n    return NOWHERE", "takes NOWHERE, which is defined nowhere"),
        ("c = 3", "checks are (3,): write a tuple of functions"),
        ("c = Thing()", "checks are"),
        ("c = print", "check print is no function of Python"),
    ],
)
def test_what_is_no_check_is_refused(tmp_path, check, said):
    path = tmp_path / "mine.py"
    path.write_text(f"{HEAD}\nf = other\n{check}\n{TAIL.replace('programs', 'checks=(c,), programs')}")
    with pytest.raises(UsageError, match=re.escape(said)) as refused:
        resolve_design(f"{path}:D")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("bound=3, programs={'t': Program(f)}", "bound is 3: write EXACT, NO_BOUND or Bound(...)"),
        ("checks=f, programs={'t': Program(f)}", "write a tuple of functions"),
        ("checks=[f], programs={'t': Program(f)}", "write a tuple of functions"),
        ("programs={'t': (f,)}", "operation t is tuple: write Program(step, step, ...)"),
        ("programs={'t': f}", "operation t is function: write Program"),
        ("bound=Bound('b', lambda cpus: 1), programs={'t': Program(f)}", "bound 'b': pages(2, 2, 32) raises TypeError"),
        ("bound=Bound('b', lambda *a: 1 // 0), programs={'t': Program(f)}", "raises ZeroDivisionError"),
        ("bound=Bound('b', lambda *a: -1), programs={'t': Program(f)}", "is -1: return a number from 0 to 2**48"),
        ("bound=Bound('b', lambda *a: 1.5), programs={'t': Program(f)}", "is 1.5: return a number"),
        ("bound=Bound('b', lambda *a: True), programs={'t': Program(f)}", "is True: return a number"),
        (
            "bound=Bound('b', lambda *a: 1, lambda c: 0), programs={'t': Program(f)}",
            "batch(2) is 0: return a number from 1",
        ),
        ("bound=Bound('b', lambda *a: 1, lambda c: None), programs={'t': Program(f)}", "batch(2) is None"),
        ("bound=Bound('b', lambda *a: 10**30), programs={'t': Program(f)}", "return a number from 0 to 2**48, or None"),
    ],
)
def test_fields_of_a_design_that_are_none_are_refused(tmp_path, field, said):
    path = tmp_path / "mine.py"
    path.write_text(f"{HEAD}\nf = other\nD = Design(name='mine', year=2026, source='s', summary='s', {field})\n")
    with pytest.raises(UsageError, match=re.escape(said)) as refused:
        resolve_design(f"{path}:D")
    assert "\n" not in str(refused.value)


def test_a_bound_gives_the_numbers_of_its_functions():
    bound = Bound("b", lambda cpus, threads, batch: cpus * threads * batch, lambda cpus: 7 * cpus)
    assert (bound.pages(2, 3, 4), bound.batch(2)) == (24, 14)
    assert Bound("b", bound.pages, bound.batch) == bound


def test_all_that_comes_with_the_program_keeps_the_rules():
    from stress.explore.model import primitives_compiled  # noqa: F401  what helpers of the explorer call compiles from here on

    for name in designs.names():
        check_design(designs.get(name))
        for function in designs.get(name).steps:
            check_body(Reading(function, "step"))
    for function in helpers():
        # Those of the simulator are called by its event loop, with rows of arrays in the place of memory and registers.
        own = function.__module__.startswith(("stress.", "shm_layout."))
        if own and not function.__module__.startswith("stress.scale."):
            check_body(Reading(function, "helper"))
    for function in checks.AT_REST.values():
        reading = Reading(function, "check")
        check_body(reading)
        assert not goes_on(reading.tree.body)


def test_own_checks_that_are_right_are_taken(tmp_path):
    module = module_of(
        tmp_path, HEAD + "def a(m):\n    return HOLDS if load(m, 1) else 3\ndef b(m, w):\n    return w[0]\n"
    )
    check_check(module.a)
    check_check(module.b)


# operations that change nothing

EFFECT = {
    "nothing": ("return NEXT", False),
    "a register of the operation": ("r[R_VALUE] = 3\nreturn NEXT", False),
    "a read": ("r[R_VALUE] = read_once(m, 3)\nreturn NEXT", False),
    "a helper that writes nothing": ("r[R_VALUE] = twice(3)\nreturn NEXT", False),
    "a write": ("write_once(m, 3, 1)\nreturn NEXT", True),
    "an atomic": ("fetch_add(m, 3, 1)\nreturn NEXT", True),
    "a write past the atomics": ("m[3] = 1\nreturn NEXT", True),
    "a check that it sees broken": ("r[R_OOPS] = 1\nreturn NEXT", True),
    "a register that is kept": ("r[R_USER] = 1\nreturn NEXT", True),
    "a register by a number": ("r[r[0]] = 1\nreturn NEXT", True),
}


@pytest.mark.parametrize("name", EFFECT)
def test_an_operation_without_effect_is_named(tmp_path, name):
    body, changes = EFFECT[name]
    design = Design("mine", 2026, "s", "s", {"t": Program(step_with(tmp_path, body).f)})
    said = without_effect(design, ["t"])
    assert said == ([] if changes else ["t changes nothing: none of its steps writes to the memory"])


def test_every_operation_that_comes_with_the_program_has_an_effect():
    for name in designs.names():
        design = designs.get(name)
        assert without_effect(design, list(design.programs)) == []


def test_a_step_that_is_declared_stays_a_plain_function():
    @step
    def mine(m, r):
        return 0

    assert mine([], []) == 0
