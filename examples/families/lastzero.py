"""CPU i sets a[i + 1] to a[i] + 1, and one looks from the end for the last zero: states hardly ever merge here.

Every order that makes a difference leads to a final state of its own: (N + 3) 2^(N - 2) for N CPUs that add. So there is
no way to look at fewer; what counts is to look at few more (Abdulla, Aronis, Jonsson and Sagonas, Optimal dynamic
partial order reduction, 2014, where this program is from).

    $ pte-stress explore lastzero.py:LASTZERO "add | add | add | look"
    ...
    complete: every state that can be reached was visited
"""

from shm_layout.atomic import read_once, write_once
from shm_layout.registers import R_CPU, R_USER
from shm_layout.structs import at, variable
from stress import NEXT, At, Design, Program, label, step
from stress.machine_kind import words

MOST = 15
A = variable("a", "a[i] is at most i", count=MOST + 1)
LAST = variable("last", "1 + where the last zero was seen")
LOOK = label("look on", back=True)


@step
def read_before(m, r):
    """x = a[me]"""
    r[R_USER] = read_once(m, at(m, A, r[R_CPU]))
    return NEXT


@step
def write_next(m, r):
    """a[me + 1] = x + 1"""
    write_once(m, at(m, A, r[R_CPU] + 1), r[R_USER] + 1)
    return NEXT


@step(private=True)
def begin_at_the_end(m, r):
    """i = me"""
    r[R_USER] = r[R_CPU]
    return NEXT


@step
def look_at_one(m, r):
    """while (a[i]) i--;"""
    if read_once(m, at(m, A, r[R_USER])) == 0:
        return NEXT
    r[R_USER] -= 1
    return LOOK


@step
def note_last(m, r):
    """last = i + 1"""
    write_once(m, at(m, LAST, 0), r[R_USER] + 1)
    return NEXT


LASTZERO = Design(
    name="lastzero",
    year=2014,
    source="Abdulla, Aronis, Jonsson and Sagonas, Optimal dynamic partial order reduction, POPL 2014",
    summary="CPUs that add one to what the CPU before them wrote, and one that looks for the last zero",
    machine=words(most_cpus=MOST + 1),
    programs={
        "add": Program(read_before, write_next),
        "look": Program(begin_at_the_end, At(LOOK), look_at_one, note_last),
    },
)
