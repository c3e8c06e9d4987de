"""A CPU writes a word, and N others read it: 2^N final states, by who read it before it was written.

    $ pte-stress explore readers.py:READERS "look | look | look | give"
    ...
    complete: every state that can be reached was visited
"""

from shm_layout.atomic import read_once, write_once
from shm_layout.registers import R_CPU, R_USER
from shm_layout.structs import at, variable
from stress import NEXT, Design, Program, step
from stress.machine_kind import words

MOST = 15
WORD = variable("word", "0, and then 1")
SAW = variable("saw", "1 + what CPU i has seen", count=MOST + 1)


@step
def write_it(m, r):
    """word = 1"""
    write_once(m, at(m, WORD, 0), 1)
    return NEXT


@step
def read_it(m, r):
    """x = word"""
    r[R_USER] = read_once(m, at(m, WORD, 0))
    return NEXT


@step
def note_it(m, r):
    """saw[me] = x + 1"""
    write_once(m, at(m, SAW, r[R_CPU]), r[R_USER] + 1)
    return NEXT


READERS = Design(
    name="readers",
    year=2014,
    source="Abdulla, Aronis, Jonsson and Sagonas, Optimal dynamic partial order reduction, POPL 2014",
    summary="one CPU writes a word that the others read",
    machine=words(most_cpus=MOST + 1),
    programs={"give": Program(write_it), "look": Program(read_it, note_it)},
)
