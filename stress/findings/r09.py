"""R09: munmap and fork forget to count migration entries."""

from __future__ import annotations

from stress import designs
from stress.design import Design
from stress.designs.migration import FORK_COUNT, ZAP_COUNT
from stress.designs.parts.correction import everywhere
from stress.designs.parts.counter import Fragment
from stress.designs.parts.operations import ZAPS
from stress.findings.finding import Case, Finding
from stress.kernel.migrate import make_readable_migration_entry
from stress.labels import MIGRATION_ENTRY
from stress.program import At, Entry, Program


def migration() -> Design:
    """Return the kernel with page migration that the mends of R09 and R10 are in."""
    return designs.get("migration")


def _as_shipped(d: Design) -> Design:
    def without(p: Program, before: Entry, count: Fragment) -> Program:
        return p.splice(tuple(Program(before, count)), before)

    return d.edit("R09 as shipped", "", fork=lambda p: without(p, make_readable_migration_entry, FORK_COUNT)).edit(
        **everywhere((*ZAPS, "madvise_dontneed"), lambda p: without(p, At(MIGRATION_ENTRY), ZAP_COUNT))
    )


FINDING = Finding(
    id="R09",
    title="munmap and fork forget to count migration entries",
    point=(
        "While a page is moved its ptes hold migration entries, and rss counts them as if they were the page. munmap "
        "clears such an entry and leaves the count, so that rss stays too high for ever; fork copies one and does not "
        "count it, so that the child's becomes negative. Shipped from 2.6.18 (2006) to 3.2; 9f9f1acd713d (3.3) counts "
        "in both, which costs migration itself nothing."
    ),
    edit="zap and fork pass over migration entries without counting",
    as_posted=_as_shipped,
    case=Case("fault 0 w || migrate_pages | zap 0"),
    check="rss_exact",
    harmless=(("a migration and a fault count nothing", Case("fault 0 w || migrate_pages | fault 0 w")),),
    sound=migration,
    shipped=None,
)
