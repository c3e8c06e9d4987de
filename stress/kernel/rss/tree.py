"""Hierarchical per-CPU counter (2026 series; lib/percpu_counter_tree.c): carries go up a tree by atomic add.

A CPU's leaf keeps all that the CPU counted. When it crosses a multiple of the batch, that multiple goes up to its
parent, and so on: a node hands on whole batches of its own level. Readers see the root, mm->rss or mm->anon_rss.
Batches are powers of two. On every level a CPU counts on node ``cpu & (items - 1)``, so CPUs that differ in their high
bits share a node, in every version that was posted.

The root never shows more than there is at rest. A leaf or node keeps what its count is above a multiple of its batch,
which is never below 0, whatever the sign of the count and whichever CPU carried it; the root has the rest.
"""

from __future__ import annotations

from shm_layout.atomic import fetch_add, read_once, write_once
from shm_layout.registers import R_AMOUNT, R_CHILD, R_COUNTED_MM, R_CPU, R_LEVEL, R_MEMBER, R_VALUE
from shm_layout.structs import (
    BATCH,
    CPU_ANON_RSS,
    CPU_RSS,
    NODE_COUNT,
    NR_CPUS,
    NR_MMS,
    TREE_ITEMS,
    TREE_LEVELS,
    TREE_ORDERS,
    TREE_WIDTH,
    at,
)
from shm_layout.words import Words
from stress.kernel.rss.amount import counted
from stress.kernel.rss.percpu import local
from stress.labels import IN_BATCH, NEXT_CPU, NEXT_LEVEL
from stress.step import NEXT, helper, step


@helper
def tree_order(m: Words, level: int) -> int:
    """Return log2 of the children of a node, by the level of the children."""
    return (m[TREE_ORDERS] >> (4 * level)) & 15


@helper
def carry(old: int, new: int, batch: int) -> int:
    """Return what goes up when a count changes: the difference in whole batches, rounded down."""
    return (new & ~(batch - 1)) - (old & ~(batch - 1))


@step
def this_cpu_add_return(m: Words, r: Words) -> int:
    """this_cpu_add_return(*counter->level0, value): to `in_batch` unless the leaf crosses a multiple of the batch.

    One step: only this CPU writes its leaf, with preemption off. With one CPU there is no tree: all goes to the root.
    """
    word = local(m, r, r[R_CPU])
    old = m[word]
    write_once(m, word, old + r[R_AMOUNT])
    r[R_VALUE] = r[R_AMOUNT] if m[TREE_LEVELS] == 0 else carry(old, old + r[R_AMOUNT], m[BATCH])
    r[R_LEVEL] = 0
    return NEXT if r[R_VALUE] != 0 else IN_BATCH


@step
def add_carry(m: Words, r: Words) -> int:
    """atomic_add_return(carry, &item->count), then `next_level` while there is a carry; the root ends it."""
    level = r[R_LEVEL] + 1
    if level >= m[TREE_LEVELS]:
        fetch_add(m, counted(m, r), r[R_VALUE])
        return NEXT
    batch = m[BATCH]
    before = 0
    items = m[TREE_WIDTH]
    for below in range(level):
        order = tree_order(m, below)
        items = items >> order
        batch = batch << order
        if below + 1 < level:
            before += items
    node = before + (r[R_CPU] & (items - 1))
    tree = (2 * r[R_COUNTED_MM] + r[R_MEMBER]) * m[TREE_ITEMS]
    old = fetch_add(m, at(m, NODE_COUNT, tree + node), r[R_VALUE])
    r[R_VALUE] = carry(old, old + r[R_VALUE], batch)
    r[R_LEVEL] = level
    return NEXT_LEVEL if r[R_VALUE] != 0 else IN_BATCH


@step
def init_tree(m: Words, r: Words) -> int:
    """percpu_counter_tree_init(): leaves and nodes of the child, which nobody else can see yet, are 0."""
    for cpu in range(m[NR_CPUS]):
        write_once(m, at(m, CPU_RSS, cpu * m[NR_MMS] + r[R_CHILD]), 0)
        write_once(m, at(m, CPU_ANON_RSS, cpu * m[NR_MMS] + r[R_CHILD]), 0)
    for item in range(2 * m[TREE_ITEMS]):
        write_once(m, at(m, NODE_COUNT, 2 * r[R_CHILD] * m[TREE_ITEMS] + item), 0)
    return NEXT


@step
def sum_leaf(m: Words, r: Words) -> int:
    """percpu_counter_tree_precise_sum(): add a CPU's leaf; back to `next_cpu` until all are added."""
    r[R_AMOUNT] = r[R_AMOUNT] + read_once(m, local(m, r, r[R_LEVEL]))
    r[R_LEVEL] = r[R_LEVEL] + 1
    return NEXT_CPU if r[R_LEVEL] < m[NR_CPUS] else NEXT


@step(private=True)
def first_leaf(m: Words, r: Words) -> int:
    """The precise sum begins with CPU 0."""
    r[R_LEVEL] = 0
    return NEXT
