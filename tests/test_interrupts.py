"""The first signal asks for the end, the second one is Ctrl-C; neither is lost."""

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time

import pytest

from stress.system import interrupts as module
from stress.system.interrupts import held_back, interrupt, interrupts, listen

ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def as_in_a_command(monkeypatch):
    """All signals interrupt, as `stress.cli` has it."""
    before = {number: signal.getsignal(number) for number in (*ALL, signal.SIGALRM)}
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    listen()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("as_in_a_command")
@pytest.mark.parametrize("second", ALL)
@pytest.mark.parametrize("first", ALL)
def test_the_first_is_noted_and_the_second_interrupts(first, second, monkeypatch):
    monkeypatch.setattr("stress.system.interrupts.SAME", -1)
    with interrupts() as asked:
        assert not asked.is_set()
        with contextlib.suppress(KeyboardInterrupt):  # it would end the tests
            signal.raise_signal(first)
        assert asked.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(second)
    assert [signal.getsignal(number) for number in ALL] == [interrupt] * len(ALL)


@pytest.mark.usefixtures("as_in_a_command")
def test_signals_that_come_together_are_one(monkeypatch):
    monkeypatch.setattr("stress.system.interrupts.SAME", 1000)
    with interrupts() as asked:
        for _ in range(3):
            signal.raise_signal(signal.SIGTERM)
        assert asked.is_set()


@pytest.mark.usefixtures("as_in_a_command")
def test_a_signal_in_the_middle_of_another_is_noted(monkeypatch):
    ways = []

    def monotonic():
        ways.append(len(ways))
        if len(ways) == 1:
            signal.raise_signal(signal.SIGTERM)
        return 5.0

    with interrupts() as asked:
        monkeypatch.setattr("stress.system.interrupts.time.monotonic", monotonic)
        signal.raise_signal(signal.SIGTERM)
        monkeypatch.undo()
        assert asked.is_set()
    assert len(ways) >= 2


@pytest.mark.usefixtures("as_in_a_command")
def test_afterwards_all_interrupt_again():
    with interrupts():
        pass
    assert [signal.getsignal(number) for number in ALL] == [interrupt] * len(ALL)


@pytest.mark.usefixtures("as_in_a_command")
@pytest.mark.parametrize("number", ALL)
@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL, print])
def test_what_does_not_interrupt_is_left_as_it_is(number, handler):
    signal.signal(number, handler)
    with interrupts():
        assert signal.getsignal(number) == handler
    assert signal.getsignal(number) == handler


def test_another_thread_has_no_signals():
    noted = []

    def run():
        with interrupts() as asked:
            noted.append(asked.is_set())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert noted == [False]


def wait_for_interrupt():
    """Return once a KeyboardInterrupt is raised here; fail when there is none."""
    with pytest.raises(KeyboardInterrupt):
        time.sleep(10)


class Destroyed:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("as_in_a_command")
@pytest.mark.parametrize(
    "call",
    [ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(signal.SIGTERM)), lambda: Destroyed() and None],
    ids=["ctypes", "destructor"],
)
def test_an_interrupt_that_a_callback_loses_is_raised_again(call, capfd):
    call()
    wait_for_interrupt()
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("as_in_a_command")
def test_other_errors_that_a_callback_loses_are_told_as_before(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", module._raise_again(told.append))
    ctypes.CFUNCTYPE(None)(lambda: 1 // 0)()
    assert [lost.exc_type for lost in told] == [ZeroDivisionError]


LLVM = """
def callback(function):
    function()
    done.append(True)
"""


@pytest.mark.usefixtures("as_in_a_command")
@pytest.mark.parametrize("around", [contextlib.nullcontext, interrupts])
def test_llvm_is_not_interrupted_in_the_middle(monkeypatch, around):
    """A callback that an exception ended would leave a function without its machine code."""
    monkeypatch.setattr(module, "SAME", -1)
    space = {"__name__": "llvmlite.binding.any", "done": []}
    exec(LLVM, space)
    with around() as asked:
        if asked is not None:
            signal.raise_signal(signal.SIGINT)  # the first is noted
        space["callback"](lambda: signal.raise_signal(signal.SIGINT))
        assert space["done"] == [True]
        wait_for_interrupt()


@pytest.mark.usefixtures("as_in_a_command")
@pytest.mark.parametrize("second", ALL)
def test_signals_that_come_together_interrupt_once(monkeypatch, second):
    monkeypatch.setattr(module, "SAME", 1000)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    signal.raise_signal(second)
    monkeypatch.setattr(module, "SAME", -1)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(second)


@pytest.mark.usefixtures("as_in_a_command")
def test_a_signal_just_after_one_that_was_noted_is_the_same_wish(monkeypatch):
    monkeypatch.setattr(module, "SAME", 1000)
    with interrupts() as asked:
        signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
    assert asked.is_set()


@pytest.mark.usefixtures("as_in_a_command")
def test_children_are_heard_of_where_sigchld_was_ignored():
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        listen()
        pid = os.fork()
        if pid == 0:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.usefixtures("as_in_a_command")
def test_a_signal_that_is_ignored_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    listen()
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


@pytest.mark.usefixtures("as_in_a_command")
def test_what_was_held_back_interrupts_afterwards():
    def start():
        with held_back():
            signal.raise_signal(signal.SIGTERM)
            done.append(True)

    done = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(KeyboardInterrupt):
        start()
    assert done
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
