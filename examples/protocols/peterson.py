"""Peterson's lock for two CPUs, on words alone: sound with its barrier, and without it broken by store buffers.

    $ pte-stress explore peterson.py:UNFENCED "enter | enter" --memory tso
    ...
    user: the checks that a design brings along; broken in 12 steps
    ...
    $ pte-stress explore peterson.py:PETERSON "enter; enter | enter; enter" --memory pso
    ...
    complete: every state that can be reached was visited
"""

from shm_layout.atomic import fetch_add, read_once, store, write_once
from shm_layout.registers import R_CPU
from shm_layout.structs import at, variable
from stress import NEXT, At, Design, Program, label, step
from stress.kernel.barriers import smp_mb, smp_wmb
from stress.machine_kind import words

FLAG = variable("flag", "CPU i wants to enter", count=2)
TURN = variable("turn", "the CPU that lets the other one go first")
INSIDE = variable("inside", "CPUs between enter and leave")
LOOK, ENTER = label("look", back=True), label("enter")


@step
def set_flag(m, r):
    """flag[me] = 1"""
    write_once(m, at(m, FLAG, r[R_CPU]), 1)
    return NEXT


@step
def give_turn(m, r):
    """turn = me"""
    write_once(m, at(m, TURN, 0), r[R_CPU])
    return NEXT


@step
def look_at_flag(m, r):
    """while (flag[other] && ...)"""
    if read_once(m, at(m, FLAG, 1 - r[R_CPU])) == 0:
        return ENTER
    return NEXT


@step
def look_at_turn(m, r):
    """... turn == me);"""
    if read_once(m, at(m, TURN, 0)) == r[R_CPU]:
        return LOOK
    return NEXT


@step
def go_in(m, r):
    """The critical section begins: nobody else is in it."""
    assert fetch_add(m, at(m, INSIDE, 0), 1) == 0
    return NEXT


@step
def go_out(m, r):
    """The critical section ends."""
    fetch_add(m, at(m, INSIDE, 0), -1)
    return NEXT


@step
def clear_flag(m, r):
    """smp_store_release(&flag[me], 0)"""
    store(m, at(m, FLAG, r[R_CPU]), 0)
    return NEXT


PETERSON = Design(
    name="peterson",
    year=1981,
    source="G. L. Peterson, Myths about the mutual exclusion problem, 1981",
    summary="mutual exclusion of two CPUs by loads and stores",
    machine=words(most_cpus=2),
    programs={
        "enter": Program(
            set_flag,
            smp_wmb,
            give_turn,
            smp_mb,
            At(LOOK),
            look_at_flag,
            look_at_turn,
            At(ENTER),
            go_in,
            go_out,
            clear_flag,
        )
    },
)
UNFENCED = PETERSON.edit(
    "unfenced",
    "the stores of flag and turn may wait while the other's flag is looked at",
    name="peterson_unfenced",
    enter=lambda p: p.drop(smp_mb),
)
