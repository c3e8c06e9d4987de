"""R10: an anonymous page that is unmapped while it moves leaves rss and stays in anon_rss."""

from __future__ import annotations

from stress.design import Design
from stress.findings.finding import Case, Finding
from stress.findings.r09 import migration
from stress.kernel.migrate import move_to_new_folio, reset_mapping


def _mended_by_half(d: Design) -> Design:
    return d.edit(
        "R10 by half", "", migrate_pages=lambda p: p.drop(reset_mapping).after(move_to_new_folio, reset_mapping)
    )


FINDING = Finding(
    id="R10",
    title="a page that is unmapped while it moves stays in anon_rss",
    point=(
        "Who clears or copies a migration entry asks the old page whether it is anonymous. Migration resets its "
        "mapping once the content has moved, and replaces the entries then, so that in between an anonymous page goes "
        "out of rss and stays in anon_rss. So the mend of R09 needs its other half, which was posted with it and then "
        "split off (January 2012): the mapping is reset behind the last entry (3.3)."
    ),
    edit="the mapping of the old page is reset before the entries are replaced",
    as_posted=_mended_by_half,
    case=Case("fault 0 w || migrate_pages | zap 0"),
    check="anon_rss_exact",
    harmless=(("nobody else looks at the entry", Case("fault 0 w || migrate_pages | statm")),),
    sound=migration,
    shipped=None,
)
