"""The first signal asks for the end, the second one is Ctrl-C."""

import contextlib
import signal
import threading

import pytest

from stress.interrupts import interrupts

ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def as_in_a_command():
    """All signals interrupt, as `stress.cli` has it."""
    before = [signal.signal(number, signal.default_int_handler) for number in ALL]
    yield
    for number, handler in zip(ALL, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("as_in_a_command")
@pytest.mark.parametrize("second", ALL)
@pytest.mark.parametrize("first", ALL)
def test_the_first_is_noted_and_the_second_interrupts(first, second, monkeypatch):
    monkeypatch.setattr("stress.interrupts.SAME", -1)
    with interrupts() as asked:
        assert not asked.is_set()
        with contextlib.suppress(KeyboardInterrupt):  # it would end the tests
            signal.raise_signal(first)
        assert asked.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(second)
    assert [signal.getsignal(number) for number in ALL] == [signal.default_int_handler] * len(ALL)


@pytest.mark.usefixtures("as_in_a_command")
def test_signals_that_come_together_are_one(monkeypatch):
    monkeypatch.setattr("stress.interrupts.SAME", 1000)
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
        monkeypatch.setattr("stress.interrupts.time.monotonic", monotonic)
        signal.raise_signal(signal.SIGTERM)
        monkeypatch.undo()
        assert asked.is_set()
    assert len(ways) >= 2


@pytest.mark.usefixtures("as_in_a_command")
def test_afterwards_all_interrupt_again():
    with interrupts():
        pass
    assert [signal.getsignal(number) for number in ALL] == [signal.default_int_handler] * len(ALL)


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
