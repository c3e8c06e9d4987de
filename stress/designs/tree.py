"""Hierarchical per-CPU counters (2026 series), on the fault path of v12_sound."""

from __future__ import annotations

from collections.abc import Iterator

from shm_layout.counter_tree import tree_orders, tree_width
from stress.design import Bound
from stress.designs.atomic import READ_POSITIVE, STATM_POSITIVE
from stress.designs.parts.counter import Fragment, counter_that
from stress.designs.v12_sound import on_sound_path
from stress.kernel import proc
from stress.kernel.rss import amount, tree
from stress.labels import IN_BATCH, NEXT_CPU, NEXT_LEVEL
from stress.program import At


def batch_per_level(cpus: int, threads: int, batch: int) -> int:
    """Return what the leaves and nodes may hold: on every level less than a batch for each leaf of the tree."""
    return batch * len(tree_orders(cpus)) * tree_width(cpus)


def fixed_batch(cpus: int) -> int:
    """Return 32 pages, whatever the machine."""
    return 32


def _levels(cpus: int, batch: int) -> Iterator[tuple[int, int, int]]:
    """For each level of nodes below the root: how many of them CPUs count on, and the batches of its children and its
    own.
    """
    items = tree_width(cpus)
    for order in tree_orders(cpus)[:-1]:
        items >>= order
        yield min(items, cpus), batch, batch << order
        batch <<= order


def most_held(cpus: int, batch: int) -> int:
    """Return the most pages that a tree can hold back. The declared bound is a little more.

    Each leaf holds back a batch less 1, each node a batch of its own less one of its children's.

    With 384 CPUs of 512 leaves all 64 and 8 nodes of both levels are counted on, since CPUs that differ in their high
    bits alone share a node:

    >>> most_held(384, 32)
    40576
    """
    return (batch - 1) * cpus + sum(nodes * (own - child) for nodes, child, own in _levels(cpus, batch))


def fullest(cpus: int, batch: int) -> list[tuple[int, int]]:
    """Return amounts and the CPUs that add them, one after the other, which fill a tree up to `most_held`.

    CPU n is a child of node n on every level that has one.
    """
    amounts = [batch - 1] * cpus
    for nodes, child, own in _levels(cpus, batch):
        for node in range(nodes):
            amounts[node] += own - child
    return list(zip(amounts, range(cpus), strict=True))


ADD: Fragment = (tree.this_cpu_add_return, At(NEXT_LEVEL), tree.add_carry, At(IN_BATCH))
_SUM: Fragment = (tree.first_leaf, At(NEXT_CPU), tree.sum_leaf)

TREE = counter_that(
    ADD,
    statm=STATM_POSITIVE,
    status=READ_POSITIVE,
    stat=READ_POSITIVE,
    precise=(
        amount.read_rss,
        *_SUM,
        amount.read_anon_rss,
        *_SUM,
        amount.both_read,
        proc.show_statm_positive,
    ),
    mm_init=(tree.init_tree,),
    bound=Bound("batch * levels * CPUs (as a power of two)", batch_per_level, fixed_batch),
)

DESIGN = on_sound_path(
    "tree",
    2026,
    "hierarchical per-CPU counters, series of January 2026",
    "each CPU counts on a leaf; whole batches are carried up a tree to the root that readers see",
    TREE,
)
