"""Hierarchical per-CPU counters (2026 series), on the fault path of v12_sound."""

from __future__ import annotations

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
    """What the leaves and nodes may hold: on every level less than a batch for each leaf of the tree."""
    return batch * len(tree_orders(cpus)) * tree_width(cpus)


def fixed_batch(cpus: int) -> int:
    """32, whatever the machine."""
    return 32


def most_held(cpus: int, batch: int) -> int:
    """The most that a tree of a power of two of CPUs can hold back: each leaf a batch less 1, each node a batch of
    its own level less one of the level below. The declared bound is a little more.
    """
    held = (batch - 1) * cpus
    width = cpus
    for order in tree_orders(cpus)[:-1]:
        width >>= order
        held += width * (batch << order) - width * batch
        batch <<= order
    return held


def fullest(cpus: int, batch: int) -> list[tuple[int, int]]:
    """Amounts and the CPUs that add them, one after the other, which fill a tree up to `most_held`."""
    orders = tree_orders(cpus)
    amounts = [batch - 1] * cpus
    below = 0
    for order in orders[:-1]:
        # each node of this level gets a carry from all of its children but the last
        batch_of_child = batch << below
        for first in range(0, cpus, 1 << (below + order)):
            for child in range((1 << order) - 1):
                amounts[first + (child << below)] += batch_of_child
        below += order
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
    "hierarchical per-CPU counters, series of January 2026; posted.md",
    "each CPU counts on a leaf; whole batches are carried up a tree to the root that readers see",
    TREE,
)
