"""Hierarchical per-CPU counters (2026 series), on the fault path of v12_sound."""

from __future__ import annotations

from shm_layout.counter_tree import tree_orders, tree_width
from stress.design import Bound
from stress.designs.atomic import READ_POSITIVE, STATM_POSITIVE
from stress.designs.counter import Fragment, counter_that
from stress.designs.v12_sound import on_sound_path
from stress.kernel import proc
from stress.kernel.rss import amount, tree
from stress.labels import IN_BATCH, NEXT_CPU, NEXT_LEVEL
from stress.program import At


def batch_per_level(cpus: int, threads: int, batch: int) -> int:
    """What the leaves and nodes may hold: on every level less than a batch for each leaf of the tree."""
    return batch * len(tree_orders(cpus)) * tree_width(cpus)


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
    bound=Bound("batch * levels * CPUs (as a power of two)", batch_per_level),
)

DESIGN = on_sound_path(
    "tree",
    2026,
    "hierarchical per-CPU counters, series of January 2026; posted.md",
    "each CPU counts on a leaf; whole batches are carried up a tree to the root that readers see",
    TREE,
)
