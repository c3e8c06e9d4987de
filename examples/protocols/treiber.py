"""A lock-free stack whose head carries a tag, and the same without it: a node that comes back fools the exchange (ABA).

    $ pte-stress explore treiber.py:UNTAGGED "pop; pop | pop; pop; push"
    ...
    user: the checks that a design brings along; broken in 24 steps
    ...
    $ pte-stress explore treiber.py:TREIBER "pop; pop | pop; pop; push"
    ...
    complete: every state that can be reached was visited
"""

from shm_layout.atomic import cmpxchg, load, read_once, store, write_once, xchg
from shm_layout.registers import R_CPU, R_EXTRA, R_USER
from shm_layout.structs import at, variable
from stress import DONE, NEXT, At, Design, Program, label, step
from stress.machine_kind import words

NODE = 0xFF
"""The bits of the head that name the first node, 0 for none; the tag lies above them."""
TAG = NODE + 1

HEAD = variable("head", "first node, and a tag that each pop changes", initial=1)
NEXT_NODE = variable("next_node", "the node after each; 1, 2, 3 are on the stack at first", count=4, initial=(0, 2, 3, 0))
TAKEN = variable("taken", "1 while a CPU has popped node i", count=4)
KEPT = variable("kept", "the node that CPU i gives back, 0 for none", count=8)
AGAIN = label("again", back=True)


@step
def read_head(m, r):
    """old = head"""
    r[R_EXTRA] = load(m, at(m, HEAD, 0))
    if r[R_EXTRA] & NODE == 0:
        return DONE
    return NEXT


@step
def read_next(m, r):
    """new = old->next"""
    r[R_USER] = read_once(m, at(m, NEXT_NODE, r[R_EXTRA] & NODE))
    return NEXT


@step
def take(m, r):
    """cmpxchg(&head, old, new with the next tag)"""
    new = r[R_USER] | ((r[R_EXTRA] // TAG + 1) * TAG)
    if cmpxchg(m, at(m, HEAD, 0), r[R_EXTRA], new) != r[R_EXTRA]:
        return AGAIN
    return NEXT


@step
def take_untagged(m, r):
    """cmpxchg(&head, old, new)"""
    if cmpxchg(m, at(m, HEAD, 0), r[R_EXTRA], r[R_USER]) != r[R_EXTRA]:
        return AGAIN
    return NEXT


@step
def own(m, r):
    """Mark the node as taken: no other CPU has it."""
    assert xchg(m, at(m, TAKEN, r[R_EXTRA] & NODE), 1) == 0
    return NEXT


@step
def keep(m, r):
    """Remember the node, if this CPU remembers none: push gives it back."""
    if read_once(m, at(m, KEPT, r[R_CPU])) == 0:
        write_once(m, at(m, KEPT, r[R_CPU]), r[R_EXTRA] & NODE)
    return NEXT


@step
def give(m, r):
    """Take the node that this CPU remembers; end where it remembers none."""
    r[R_USER] = xchg(m, at(m, KEPT, r[R_CPU]), 0)
    if r[R_USER] == 0:
        return DONE
    return NEXT


@step
def disown(m, r):
    """Mark the node as free: once it is on the stack it may be popped."""
    store(m, at(m, TAKEN, r[R_USER]), 0)
    return NEXT


@step
def look_at_head(m, r):
    """old = head"""
    r[R_EXTRA] = load(m, at(m, HEAD, 0))
    return NEXT


@step
def set_next(m, r):
    """node->next = old"""
    write_once(m, at(m, NEXT_NODE, r[R_USER]), r[R_EXTRA] & NODE)
    return NEXT


@step
def put(m, r):
    """cmpxchg(&head, old, node)"""
    if cmpxchg(m, at(m, HEAD, 0), r[R_EXTRA], r[R_USER] | (r[R_EXTRA] // TAG * TAG)) != r[R_EXTRA]:
        return AGAIN
    return NEXT


TREIBER = Design(
    name="treiber",
    year=1986,
    source="R. K. Treiber, Systems programming: coping with parallelism, IBM RJ 5118, 1986",
    summary="a lock-free stack with a tag beside its head",
    machine=words(most_cpus=8),
    programs={
        "pop": Program(At(AGAIN), read_head, read_next, take, own, keep),
        "push": Program(give, disown, At(AGAIN), look_at_head, set_next, put),
    },
)
UNTAGGED = TREIBER.edit(
    "untagged",
    "the exchange succeeds when the first node went and came back meanwhile",
    name="treiber_untagged",
    pop=lambda p: p.replace(take, take_untagged),
)
