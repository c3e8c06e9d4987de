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


def test_every_task_is_performed_here_and_some_by_one_child_before(tmp_path):
    def task(n):
        (tmp_path / f"{n}-{os.getpid()}").touch()
        if len(list(tmp_path.glob(f"{n}-*"))) == 1:
            time.sleep(0.2)  # to compile takes time, to find it on disk takes none

    beside.compile_all([lambda n=n: task(n) for n in range(9)], "these")
    names = [path.name.split("-") for path in tmp_path.iterdir()]
    here = str(os.getpid())
    assert sorted(n for n, pid in names if pid == here) == [str(n) for n in range(9)]
    theirs = [n for n, pid in names if pid != here]
    assert theirs
    assert len(theirs) == len(set(theirs)) < 9
    assert len({pid for _, pid in names}) == 3


def test_a_child_that_hangs_or_fails_harms_nobody(monkeypatch):
    monkeypatch.setattr(beside, "PATIENCE", 0.5)
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
