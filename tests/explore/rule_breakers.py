"""Designs whose steps break a rule of steps each, or raise, and the sound ones beside them."""

from shm_layout.atomic import cmpxchg, fetch_add, load, read_once, write_once
from shm_layout.registers import R_ADDRESS, R_CPU, R_END, R_EXTRA, R_PAGE, R_VALUE
from shm_layout.structs import (
    CPU_RSS,
    MM_STRIDE,
    NR_MMS,
    NR_PTES,
    PAGE_MAPCOUNT,
    RSS_STAT_STRIDE,
    at,
    task_struct,
    zone_struct,
)
from stress.checks import HOLDS
from stress.design import Design
from stress.designs import get
from stress.kernel.rmap import page_add_anon_rmap
from stress.program import Program
from stress.step import NEXT, WAIT, step

X = zone_struct.word("rule_x", "tests", "a word of the tests")
Y = zone_struct.word("rule_y", "tests", "another")
SEEN = task_struct.word("rule_seen", "tests", "a word for each task: pages of other tests are many")


def design(name, checks=(), late_by=None, **programs):
    return Design(
        name=name,
        year=2026,
        source="tests",
        summary="tests",
        checks=checks,
        programs={key: Program(*steps) for key, steps in programs.items()},
        late_by=late_by or {},
    )


def after_rmap(name, function):
    return get("v12_sound").edit(name=name, fault=lambda p: p.after(page_add_anon_rmap, function))


@step
def set_x(m, r):
    write_once(m, m[X], 1)
    return NEXT


@step
def clear_x(m, r):
    write_once(m, m[X], 0)
    return NEXT


@step
def endless_later(m, r):
    """A loop without end, once two pages are mapped."""
    while read_once(m, at(m, PAGE_MAPCOUNT, 1)) + read_once(m, at(m, PAGE_MAPCOUNT, 2)) > 1:
        r[R_EXTRA] = (r[R_EXTRA] * 3 + 1) % 1000
    return NEXT


@step
def nothing(m, r):
    return NEXT


@step(private=True)
def private_read(m, r):
    r[R_VALUE] = read_once(m, m[X])
    return NEXT


@step(private=True)
def private_plain_read(m, r):
    r[R_VALUE] = m[m[X]]
    return NEXT


@step(private=True)
def private_write(m, r):
    write_once(m, m[X], r[R_VALUE] + 1)
    return NEXT


@step
def read_x(m, r):
    r[R_VALUE] = read_once(m, m[X])
    return NEXT


@step
def add_in_one(m, r):
    write_once(m, m[X], read_once(m, m[X]) + 1)
    return NEXT


@step
def add_past_the_door(m, r):
    m[m[X]] += 1
    return NEXT


@step
def two_words(m, r):
    write_once(m, m[X], 1)
    write_once(m, m[Y], 1)
    return NEXT


@step
def read_twice(m, r):
    r[R_VALUE] = read_once(m, m[X]) - read_once(m, m[X])
    return NEXT


@step(whole="a lock of the tests")
def add_as_a_whole(m, r):
    write_once(m, m[X], read_once(m, m[X]) + 1)
    return NEXT


@step
def test_and_exchange(m, r):
    if read_once(m, m[X]) == 0:
        cmpxchg(m, m[X], 0, 1)
    return NEXT


@step
def add_own(m, r):
    word = m[CPU_RSS] + r[R_CPU] * m[NR_MMS] * m[RSS_STAT_STRIDE]
    write_once(m, word, m[word] + 1)
    return NEXT


@step
def add_of_cpu_0(m, r):
    word = m[CPU_RSS]
    write_once(m, word, m[word] + 1)
    return NEXT


@step(waits=True)
def change_and_wait(m, r):
    return NEXT if fetch_add(m, m[X], 1) > 0 and read_once(m, m[Y]) == 1 else WAIT


@step(waits=True)
def wait_three_times(m, r):
    r[R_EXTRA] = r[R_EXTRA] + 1
    return NEXT if r[R_EXTRA] > 3 else WAIT


@step
def write_constant(m, r):
    m[SEEN] = m[SEEN] + 5
    return NEXT


@step
def write_constant_by_the_door(m, r):
    write_once(m, SEEN, 0)
    return NEXT


@step
def wrong_stride(m, r):
    stride = MM_STRIDE  # in a name of the step's own, so that its source does not show it
    fetch_add(m, at(m, SEEN, stride, r[R_PAGE]), 1)
    return NEXT


@step
def no_field(m, r):
    fetch_add(m, at(m, SEEN + 1, 0), 1)
    return NEXT


@step
def no_such_page(m, r):
    fetch_add(m, at(m, SEEN, r[R_PAGE] + 1_000_000), 1)
    return NEXT


@step
def page_before_the_first(m, r):
    fetch_add(m, at(m, SEEN, -1 - r[R_PAGE]), 1)
    return NEXT


@step
def out_of_bounds(m, r):
    m[1 << 40] = 1
    return NEXT


@step
def below_zero(m, r):
    r[R_VALUE] = m[-1 - r[R_PAGE]]
    return NEXT


@step
def no_such_register(m, r):
    r[1000 + r[R_PAGE]] = 1
    return NEXT


@step
def x_is_clear(m, r):
    assert read_once(m, m[X]) == 0, "x is set"
    return NEXT


@step
def divide(m, r):
    r[R_VALUE] = 7 // read_once(m, m[X])
    return NEXT


@step(private=True)
def divide_privately(m, r):
    r[R_VALUE] = 7 // r[R_EXTRA]
    return NEXT


@step
def raise_error(m, r):
    if load(m, m[X]) == 1:
        raise ValueError("x is set")
    return NEXT


def check_that_writes(m):
    write_once(m, m[X], 2)
    return HOLDS


def check_that_asserts(m):
    assert load(m, m[X]) == 0
    return HOLDS


def check_that_divides(m):
    return HOLDS if 7 // load(m, m[X]) == 7 else 1


def check_out_of_bounds(m):
    return HOLDS if load(m, 1 << 40) == 0 else 1


@step(private=True)
def all_pages(m, r):
    r[R_ADDRESS] = 0
    r[R_END] = m[NR_PTES]
    return NEXT


ATOMIC = get("atomic")
ZAP_ALL = design("zap_all", **ATOMIC.programs, zap_all=(all_pages, *ATOMIC.programs["zap"]))
