"""Compiling on all CPUs at once: children do a part of the work, and nothing depends on them."""

import os
import time

import numpy as np
import psutil
import pytest

from stress.compiling import beside
from stress.compiling.modules import dispatcher
from stress.designs import get
from stress.explore import explore
from stress.explore.searching.compiled import SEARCH, compiled
from stress.workload import Workload


@pytest.fixture(autouse=True)
def three_cpus(monkeypatch):
    monkeypatch.setattr(beside, "available_cores", lambda: 3)


_BEFORE = set()
"""Children of the test process that others left, such as a fork server."""


@pytest.fixture(autouse=True)
def _children_of_others():
    _BEFORE.clear()
    _BEFORE.update(psutil.Process().children())


def no_children():
    assert set(psutil.Process().children()) <= _BEFORE


def test_every_task_is_performed_here_and_by_each_child(tmp_path):
    tasks = [lambda n=n: (tmp_path / f"{n}-{os.getpid()}").touch() for n in range(5)]
    with beside.children(tasks):
        deadline = time.monotonic() + 30
        while len(list(tmp_path.iterdir())) < 10 and time.monotonic() < deadline:
            time.sleep(0.01)
    theirs = {path.name for path in tmp_path.iterdir()}
    beside.compile_all(tasks, "these")
    mine = {path.name for path in tmp_path.iterdir()} - theirs
    assert len({name.partition("-")[2] for name in theirs}) == 2
    assert len(theirs) == 10
    assert mine >= {f"{n}-{os.getpid()}" for n in range(5)}


def test_a_child_that_hangs_or_fails_harms_nobody():
    parent, done = os.getpid(), []

    def hangs():
        if os.getpid() != parent:
            time.sleep(600)
        done.append("hangs")

    def fails():
        assert os.getpid() == parent
        done.append("fails")

    beside.compile_all([hangs, fails], "these")
    beside.compile_all([fails, hangs], "these")
    assert done == ["hangs", "fails", "fails", "hangs"]
    no_children()


def test_what_a_task_raises_is_raised_and_the_children_end():
    def refused():
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        beside.compile_all([refused, lambda: time.sleep(0)], "these")
    no_children()


def test_functions_compiled_ahead_are_those_that_a_search_calls():
    explore(get("v12_sound"), Workload.parse("fault 0 w | zap 0"))
    made = {name: compiled()[name] for name in SEARCH}
    # A function that is on disk, and that this search did not call, has not been read.
    assert all(len(getattr(one, "caller", one).signatures) <= 1 for one in made.values())
    assert len(made["expand"].caller.signatures) == 1
    assert len(dispatcher(made["expand"].function).signatures) == 1


def test_what_is_compiled_is_said_once(monkeypatch):
    said = []
    monkeypatch.setattr(beside, "on_compile", said.append)
    monkeypatch.setattr(beside, "_told", set())
    many = [lambda: None] * (beside.FEW + 1)
    for tasks, what in ((many, "this"), (many[1:], "nothing long"), (many, "this"), (many, "that")):
        beside.compile_all(tasks, what)
    assert said == ["this", "that"]


def test_a_function_called_by_its_address_takes_arrays_of_its_types_alone():
    explore(get("v12_sound"), Workload.parse("fault 0 w"))
    made = compiled()["expand"]
    words = np.zeros(8, np.int64)
    with pytest.raises(TypeError, match="No matching definition"):  # parent and via take smaller numbers
        made(*[words] * (len(made.given) - 1))
