"""A design on words alone, for tests: words that are counted, copied, locked, waited for and asserted.

Not in a test file, whose assertions pytest rewrites.
"""

from __future__ import annotations

from shm_layout.atomic import cmpxchg, fetch_add, read_once, write_once
from shm_layout.registers import R_EXTRA, R_USER
from shm_layout.structs import at, variable
from shm_layout.words import Words
from stress.design import Design
from stress.labels import label
from stress.machine_kind import WORDS
from stress.program import At, Program
from stress.step import NEXT, WAIT, StepFunction, step

COUNT, FLAG, GUARD, COPY, TICKET, TURN = (
    variable(f"test_{name}", "a word") for name in ("count", "flag", "guard", "copy", "ticket", "turn")
)
AGAIN = label("test again", back=True)


@step
def read_count(m: Words, r: Words) -> int:
    """x = count"""
    r[R_USER] = read_once(m, at(m, COUNT, 0))
    return NEXT


@step
def write_count(m: Words, r: Words) -> int:
    """count = x + 1"""
    write_once(m, at(m, COUNT, 0), (r[R_USER] + 1) % 4)
    return NEXT


@step
def read_flag(m: Words, r: Words) -> int:
    """x = flag"""
    r[R_USER] = read_once(m, at(m, FLAG, 0))
    return NEXT


@step
def write_flag(m: Words, r: Words) -> int:
    """flag = x"""
    write_once(m, at(m, FLAG, 0), r[R_USER])
    return NEXT


@step
def note_copy(m: Words, r: Words) -> int:
    """copy = x"""
    write_once(m, at(m, COPY, 0), r[R_USER])
    return NEXT


@step
def spin(m: Words, r: Words) -> int:
    """while (!flag);"""
    return NEXT if read_once(m, at(m, FLAG, 0)) != 0 else AGAIN


@step(waits=True)
def wait_for_flag(m: Words, r: Words) -> int:
    """Wait for flag"""
    return NEXT if read_once(m, at(m, FLAG, 0)) != 0 else WAIT


@step(waits=True)
def take_guard(m: Words, r: Words) -> int:
    """Take the lock"""
    return NEXT if cmpxchg(m, at(m, GUARD, 0), 0, 1) == 0 else WAIT


@step
def drop_guard(m: Words, r: Words) -> int:
    """Give it back"""
    write_once(m, at(m, GUARD, 0), 0)
    return NEXT


@step(waits=True)
def wait_and_remember(m: Words, r: Words) -> int:
    """Wait for flag; x is 3 then, and one less where it was not set at once"""
    if read_once(m, at(m, FLAG, 0)) != 0:
        r[R_USER] = 3 - r[R_EXTRA]
        r[R_EXTRA] = 0
        return NEXT
    r[R_EXTRA] = 1
    return WAIT


@step
def take_ticket(m: Words, r: Words) -> int:
    """x = ticket++"""
    r[R_EXTRA] = fetch_add(m, at(m, TICKET, 0), 1)
    return NEXT


@step(waits=True)
def wait_for_turn(m: Words, r: Words) -> int:
    """Wait until turn is x"""
    return NEXT if read_once(m, at(m, TURN, 0)) == r[R_EXTRA] else WAIT


@step
def next_turn(m: Words, r: Words) -> int:
    """turn = x + 1"""
    write_once(m, at(m, TURN, 0), r[R_EXTRA] + 1)
    r[R_EXTRA] = 0
    return NEXT


@step
def choose_turn(m: Words, r: Words) -> int:
    """x = flag ? 1 : 3"""
    r[R_EXTRA] = 1 if read_once(m, at(m, FLAG, 0)) != 0 else 3
    return NEXT


@step
def note_turn(m: Words, r: Words) -> int:
    """copy = x"""
    write_once(m, at(m, COPY, 0), r[R_EXTRA])
    return NEXT


@step
def read_copy(m: Words, r: Words) -> int:
    """x = copy"""
    r[R_USER] = read_once(m, at(m, COPY, 0))
    return NEXT


def _sets(word: int, number: int) -> StepFunction:
    @step
    def set_word(m: Words, r: Words) -> int:
        write_once(m, at(m, word, 0), number)
        return NEXT

    return set_word


@step
def below_two(m: Words, r: Words) -> int:
    """count < 2"""
    assert read_once(m, at(m, COUNT, 0)) < 2
    return NEXT


MIXED = Design(
    "mixed",
    2026,
    "",
    "words that are counted, copied, waited for and asserted",
    {
        "test_up": Program(read_count, write_count),
        "test_up_twice": Program(read_count, write_count, read_count, write_count),
        "test_copy": Program(read_count, write_flag, read_flag, note_copy),
        "test_locked": Program(take_guard, read_count, write_count, drop_guard),
        "test_locked_wait": Program(take_guard, wait_for_flag, write_count, drop_guard),
        "test_remember": Program(wait_and_remember, note_copy),
        "test_in_turn": Program(take_ticket, wait_for_turn, read_count, write_count, next_turn),
        "test_choose": Program(choose_turn, wait_for_turn, note_turn),
        "test_turns": Program(_sets(TURN, 1), read_copy, _sets(TURN, 2), _sets(TURN, 3)),
        "test_set": Program(_sets(FLAG, 1)),
        "test_pulse": Program(read_count, _sets(FLAG, 1), read_copy, _sets(FLAG, 0)),
        "test_wait": Program(read_count, wait_for_flag, write_count),
        "test_spin": Program(At(AGAIN), spin, note_copy),
        "test_locked_spin": Program(take_guard, At(AGAIN), spin, write_count, drop_guard),
        "test_look": Program(below_two, read_flag, note_copy),
        "test_note": Program(note_copy),
    },
    machine=WORDS,
)
