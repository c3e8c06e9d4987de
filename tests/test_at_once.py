"""Several processes apply a function; the results come in the order of the items, whatever happens to a process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest

from stress.system.at_once import at_once


def square(number: int) -> int:
    """Square a number; odd ones take longer."""
    time.sleep(0.02 if number % 2 else 0.0)
    return number * number


def refuse_sevens(number: int) -> int:
    if number % 7 == 0:
        raise ValueError(f"{number}")
    return number


def die_at_eleven(number: int) -> int:
    if number == 11 and multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def pid_of(number: int) -> int:
    time.sleep(0.01)
    return os.getpid()


@pytest.mark.parametrize("jobs", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 60])
def test_results_come_in_order(jobs: int, count: int) -> None:
    found = [(item, result()) for item, result in at_once(square, iter(range(count)), jobs)]
    assert found == [(number, number * number) for number in range(count)]
    assert not multiprocessing.active_children()


def test_several_processes_work() -> None:
    assert len({result() for _, result in at_once(pid_of, range(40), 2)} - {os.getpid()}) == 2


def test_an_error_of_one_item_is_raised_where_its_result_is_asked_for() -> None:
    refused = []
    for item, result in at_once(refuse_sevens, range(1, 30), 2):
        try:
            assert result() == item
        except ValueError as error:
            refused.append(str(error))
    assert refused == ["7", "14", "21", "28"]


def test_a_process_that_dies_loses_nothing() -> None:
    assert [result() for _, result in at_once(die_at_eleven, range(50), 2)] == list(range(50))
    assert not multiprocessing.active_children()


def test_who_stops_asking_leaves_no_process() -> None:
    for _, result in at_once(square, range(1000), 2):
        if result() > 100:
            break
    for _ in range(100):
        if not multiprocessing.active_children():
            return
        time.sleep(0.05)
    pytest.fail("processes are left")
