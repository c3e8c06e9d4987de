"""A way of counting: what runs at each place where a fault path counts.

Designs that differ only in their counters are the same programs around another `Counter`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stress.design import EXACT, Bound
from stress.kernel import fork
from stress.kernel.rss import amount
from stress.program import Entry, Program, Source

Fragment = tuple[Source, ...]


@dataclass(frozen=True)
class Counter:
    """The fragments of one way of counting.

    A fragment runs where the kernel counts, on mm R_MM unless it says otherwise:

    - ``fault_rss``, ``fault_anon_rss``: one more page, in a fault that holds no lock (on a design that
      takes page_table_lock it is held).
    - ``inc_rss``, ``inc_anon_rss``: one more page in a fault that holds page_table_lock.
    - ``dec_rss``, ``dec_anon_rss``: one page less, page_table_lock held.
    - ``sub_freed``: at the end of a zap, R_FREED pages less, page_table_lock held.
    - ``zap_anon_rss``: a zap found an anonymous page; None: it is counted like any other, by ``dec_anon_rss``.
    - ``unmap_old``: do_wp_page lets go of a page that is not anonymous, page_table_lock held.
    - ``child_rss``, ``child_anon_rss``: fork-copy counts a page on the child R_CHILD.
    - ``mm_init``: a new mm R_CHILD has been allocated. ``dup_task``: the copy of current is made.
    - ``add_thread``: task R_TASK joins mm R_MM. ``remove_thread``: it leaves it.
      ``changed_mm``: exec has given current another mm, and current is on the list of none.
    - ``statm``, ``status``, ``stat``: a read, which ends in R_RESIDENT and R_SHARED. ``precise``: the same, from
      everything that is counted anywhere; empty where ``statm`` is that already.
    - ``more``: further operations, such as ``tick``.

    ``bound`` and ``checks``: of the design, see `stress.design.Design`.
    """

    fault_rss: Fragment
    fault_anon_rss: Fragment
    inc_rss: Fragment
    inc_anon_rss: Fragment
    dec_rss: Fragment
    dec_anon_rss: Fragment
    sub_freed: Fragment
    child_rss: Fragment
    child_anon_rss: Fragment
    statm: Fragment
    status: Fragment
    stat: Fragment
    precise: Fragment = ()
    zap_anon_rss: Fragment | None = None
    unmap_old: Fragment = ()
    mm_init: Fragment = ()
    dup_task: Entry = fork.dup_task_struct_zeroed
    add_thread: Fragment = ()
    remove_thread: Fragment = ()
    changed_mm: Fragment = ()
    more: Mapping[str, Program] = field(default_factory=dict)
    bound: Bound = EXACT
    checks: tuple[Callable[..., int], ...] = ()


def counter_that(add: Fragment, **others: Any) -> Counter:
    """Return the counter whose rss and anon_rss are both changed by ``add``, a fragment that acts on R_COUNTED_MM,
    R_MEMBER and R_AMOUNT. ``others`` are fields of `Counter`, and take precedence.
    """
    both: dict[str, Any] = {
        "fault_rss": (amount.rss_up, *add),
        "fault_anon_rss": (amount.anon_rss_up, *add),
        "inc_rss": (amount.rss_up, *add),
        "inc_anon_rss": (amount.anon_rss_up, *add),
        "dec_rss": (amount.rss_down, *add),
        "dec_anon_rss": (amount.anon_rss_down, *add),
        "sub_freed": (amount.rss_freed, *add),
        "child_rss": (amount.child_rss_up, *add),
        "child_anon_rss": (amount.child_anon_rss_up, *add),
    }
    return Counter(**{**both, **others})
