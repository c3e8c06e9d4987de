"""Locks, RCU and SRCU: who waits for whom, and what a buffer may still hold."""

import pytest

from stress.litmus.outcomes import outcomes
from stress.litmus.reading import read_test


def verdict(bodies, condition, memory="tso", parameters="int *x, int *y, spinlock_t *l, struct srcu_struct *s"):
    parts = ["C t\n{}\n"] + [f"P{k}({parameters})\n{{\n{body}\n}}\n" for k, body in enumerate(bodies)]
    return outcomes(read_test("".join(parts) + f"exists ({condition})", "t"), memory)


READER = "rcu_read_lock(); r0 = READ_ONCE(*x); r1 = READ_ONCE(*y); rcu_read_unlock();"
WRITER = "WRITE_ONCE(*x, 1); synchronize_rcu(); WRITE_ONCE(*y, 1);"


@pytest.mark.parametrize("memory", ["sc", "tso", "pso"])
def test_grace_period_waits_for_readers_that_were_there(memory):
    assert verdict([READER, WRITER], "0:r0=0 /\\ 0:r1=1", memory).observation == "Never"
    assert (
        verdict(
            [READER.replace("rcu_read_lock();", "").replace("rcu_read_unlock();", ""), WRITER],
            "0:r0=0 /\\ 0:r1=1",
            memory,
        ).observation
        == "Sometimes"
    )


@pytest.mark.parametrize("memory", ["sc", "tso", "pso"])
def test_two_readers_and_one_grace_period_may_go_round(memory):
    bodies = [
        "rcu_read_lock(); r0 = READ_ONCE(*x); WRITE_ONCE(*z, 1); rcu_read_unlock();",
        "rcu_read_lock(); WRITE_ONCE(*y, 1); r1 = READ_ONCE(*w); rcu_read_unlock();",
        "WRITE_ONCE(*x, 1); synchronize_rcu(); r0 = READ_ONCE(*y);",
    ]
    found = verdict(bodies, "0:r0=0 /\\ 2:r0=0 /\\ z=1", memory, "int *x, int *y, int *z, int *w")
    assert found.observation == "Sometimes"


def test_domains_of_srcu_do_not_wait_for_each_other():
    reader = "i = srcu_read_lock(s); r0 = READ_ONCE(*x); r1 = READ_ONCE(*y); srcu_read_unlock(s, i);"
    writer = "WRITE_ONCE(*x, 1); synchronize_srcu({}); WRITE_ONCE(*y, 1);"
    both = "int *x, int *y, struct srcu_struct *s, struct srcu_struct *other"
    assert verdict([reader, writer.format("s")], "0:r0=0 /\\ 0:r1=1", parameters=both).observation == "Never"
    assert verdict([reader, writer.format("other")], "0:r0=0 /\\ 0:r1=1", parameters=both).observation == "Sometimes"


def test_nested_readers_end_with_the_outermost():
    inner = "rcu_read_lock(); rcu_read_unlock();"
    nested = f"rcu_read_lock(); r0 = READ_ONCE(*x); {inner} r1 = READ_ONCE(*y); rcu_read_unlock();"
    assert verdict([nested, WRITER], "0:r0=0 /\\ 0:r1=1").observation == "Never"


def test_reader_that_waits_for_itself_has_no_final_state():
    found = verdict(["rcu_read_lock(); synchronize_rcu(); rcu_read_unlock();"], "x=0")
    assert (found.states, found.observation, found.ok) == ([], "Never", False)


def test_lock_that_is_taken_twice_has_no_final_state():
    assert verdict(["spin_lock(l); spin_lock(l);"], "x=0").states == []


@pytest.mark.parametrize("memory", ["sc", "tso", "pso"])
def test_one_holder_at_a_time(memory):
    body = "spin_lock(l); r0 = *x; *x = r0 + 1; spin_unlock(l);"
    assert verdict([body, body], "x=2", memory).observation == "Always"


def test_trylock_fails_while_the_lock_is_held_and_says_so():
    body = "r0 = spin_trylock(l); if (r0) { r1 = READ_ONCE(*x); WRITE_ONCE(*x, 1); spin_unlock(l); }"
    found = verdict([body, body], "0:r0=0 /\\ 1:r0=0")
    assert found.observation == "Never"
    assert verdict([body, body], "0:r0=1 /\\ 1:r0=0").observation == "Sometimes"


def test_released_lock_is_a_buffered_store():
    bodies = [
        "spin_lock(l); spin_unlock(l); r0 = READ_ONCE(*x);",
        "WRITE_ONCE(*x, 1); smp_mb(); r0 = spin_is_locked(l);",
    ]
    assert verdict(bodies, "0:r0=0 /\\ 1:r0=1", "tso").observation == "Sometimes"
