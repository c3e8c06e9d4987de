"""The shape of a hierarchical per-CPU counter (lib/percpu_counter_tree.c of the 2026 series).

CPUs are the leaves, their number rounded up to a power of two: the tree's width. ``tree_orders`` says how many
children a node has, as powers of two, level by level from the leaves.
"""

from __future__ import annotations

_ORDERS: tuple[tuple[int, ...], ...] = (
    (),
    (1,),
    (1, 1),
    (1, 1, 1),
    (2, 1, 1),
    (2, 2, 1),
    (2, 2, 2),
    (3, 2, 2),
    (3, 3, 2),
    (3, 3, 3),
    (3, 3, 2, 2),
    (3, 3, 3, 2),
    (3, 3, 3, 3),
)
"""By log2 of the width, up to 4,096 CPUs: the table of the series."""

MOST_CPUS = 1 << (len(_ORDERS) - 1)
"""CPUs that a machine may have."""


def tree_width(cpus: int) -> int:
    """Leaves of the tree: CPUs rounded up to a power of two."""
    return 1 << (cpus - 1).bit_length()


def tree_orders(cpus: int) -> tuple[int, ...]:
    """Return log2 of the children of a node, one number for each level below the root.

    Raises `IndexError` above `MOST_CPUS` CPUs.
    """
    return _ORDERS[(cpus - 1).bit_length()]


def tree_items(cpus: int) -> int:
    """Nodes above the leaves, without the root."""
    nodes = 1 << sum(tree_orders(cpus))
    count = 0
    for order in tree_orders(cpus):
        nodes >>= order
        count += nodes
    return max(count - 1, 0)
