"""From names to numbers: the words of a test, its initial values, and the registers that its conditions speak of."""

from __future__ import annotations

from collections.abc import Callable

from stress.litmus.conditions import Location, Proposition, Value
from stress.litmus.initial import Initial
from stress.litmus.test import Test, Thread
from stress.litmus.unsupported import Place, Unsupported
from stress.litmus.values import MOST_NUMBER, address

MOST_WORDS = 62
"""Words of a test: sets of them are words of 64 bits."""
MOST_THREADS = 40
MOST_LOCATIONS = 60


class Words:
    """The words of memory of a test, in the order in which they are met."""

    def __init__(self, place: Place) -> None:
        """Begin without words. ``place``: for the error when there are too many."""
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._place = place

    def number(self, name: str) -> int:
        """Return the number of a word, a new one when it is first named."""
        if name not in self._numbers:
            if len(self.names) >= MOST_WORDS:
                raise Unsupported(f"more than {MOST_WORDS} words of memory", self._place)
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]


def value_of(value: Value, words: Words, place: Place) -> int:
    """Return a value as registers hold it."""
    if isinstance(value, str):
        return address(words.number(value))
    if abs(value) >= MOST_NUMBER:
        raise Unsupported(f"a number as large as {value}", place)
    return value


def finish(
    *,
    file: str,
    name: str,
    arch: str,
    words: Words,
    initial: Initial,
    threads: list[Thread],
    locks: set[int],
    conditions: tuple[list[Location], Proposition | None, str, Proposition],
    place: Place,
    canonical: Callable[[str], str] = str,
) -> Test:
    """Return the test that these parts make. ``canonical``: the one name of a register that has several."""
    listed, wanted, quantifier, condition = conditions
    observed = [*listed, *condition.locations()]
    needed = [*observed, *(wanted.locations() if wanted else ())]
    named = {*condition.addresses(), *(wanted.addresses() if wanted else ())}
    for location in needed:
        if location.thread < 0:
            if words.number(location.name) in locks:
                raise Unsupported(f"the lock {location.name} in a condition", place)
        elif location.thread >= len(threads):
            raise Unsupported(f"{location.key}: there is no thread {location.thread}", place, "not readable")
        else:
            register(threads[location.thread], canonical(location.name), place)
    for text in sorted(named):
        words.number(text)
    values = [0] * len(words.names)
    for location, value in initial.values.items():
        number = value_of(value, words, place)
        values += [0] * (len(words.names) - len(values))
        if location.thread < 0:
            at = words.number(location.name)
            values += [0] * (len(words.names) - len(values))
            values[at] = number
        elif location.thread >= len(threads):
            raise Unsupported(f"{location.key}: there is no thread {location.thread}", place, "not readable")
        else:
            thread = threads[location.thread]
            thread.initial[register(thread, canonical(location.name), place)] = number
    if len({*needed}) > MOST_LOCATIONS:
        raise Unsupported(f"more than {MOST_LOCATIONS} observed locations", place)
    return Test(
        file,
        name,
        arch,
        words.names,
        values,
        threads,
        quantifier,
        condition,
        wanted,
        sorted(set(observed), key=lambda location: location.order),
        locks,
    )


def register(thread: Thread, name: str, place: Place) -> int:
    """Return the register of this name; one that the program never names is made, and reads as 0."""
    if name not in thread.registers:
        if thread.count >= MOST_LOCATIONS:
            raise Unsupported(f"more than {MOST_LOCATIONS} registers in a thread", place)
        thread.registers[name] = thread.count
        thread.count += 1
    return thread.registers[name]
