"""A counter of the tests: counts of a CPU, which an operation of their own folds into the mm in three steps."""

from shm_layout.atomic import fetch_add, read_once, write_once
from shm_layout.registers import R_AMOUNT, R_CPU, R_VALUE
from stress.kernel.rss import amount, percpu
from stress.step import NEXT, step


@step
def local_add(m, r):
    word = percpu.local(m, r, r[R_CPU])
    write_once(m, word, m[word] + r[R_AMOUNT])
    return NEXT


@step
def take_local(m, r):
    r[R_VALUE] = read_once(m, percpu.local(m, r, r[R_CPU]))
    return NEXT


@step
def add_central(m, r):
    fetch_add(m, amount.counted(m, r), r[R_VALUE])
    return NEXT


@step
def zero_local(m, r):
    write_once(m, percpu.local(m, r, r[R_CPU]), 0)
    return NEXT


FOLD = (take_local, add_central, zero_local)
