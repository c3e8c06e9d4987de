"""linux_6_16 counts pages of files, anonymous ones and those of shared memory apart: each kind is right by itself."""

import pytest

from stress import designs
from stress.explore import explore
from stress.kernel import rmap
from stress.kernel.rss import amount, kinds
from stress.workload import Workload

LINUX_6_16 = designs.get("linux_6_16")
ONE_OF_EACH = {"anon": 1, "private_file": 1, "shared_file": 1}
"""Page 0 is anonymous, 1 of a file, mapped privately, 2 of shared memory."""


def broken(design, text):
    result = explore(design, Workload.parse(text, batch=3, **ONE_OF_EACH))
    assert result.complete
    return {violation.check for violation in result.violations}


@pytest.mark.parametrize(
    "text",
    [
        "fault 0 w; fault 1; fault 2 | zap 0-2; status",
        "fault 1; fault 1 w | swap_out; truncate 2 | fault 2 w",
        "fault 0; fault 1 w | fork; zap 0-2; exit | cpu_offline",
        "fault 0 w; swap_out | fault 0; exec | madvise_dontneed 0-2",
        "fault 2 || fork 0-2 | fault 1 | stat mm=0",
    ],
)
def test_it_holds(text):
    assert broken(LINUX_6_16, text) == set()


@pytest.mark.parametrize(
    ("text", "checks", "edits"),
    [
        (
            "fault 2; fork",
            {"user"},
            {"fork": lambda p: p.replace(kinds.child_mm_counter_file_up, amount.child_file_rss_up)},
        ),
        ("fault 2; zap 0-2", {"user"}, {"zap": lambda p: p.drop(kinds.rss_vec_down)}),
        ("fault 0 w; zap 0-2", {"user", "anon_rss_exact"}, {"zap": lambda p: p.drop(kinds.rss_vec_down)}),
        (
            "fault 0 w; zap 0",
            {"user", "anon_rss_exact"},
            {"zap": lambda p: p.replace(rmap.if_page_anon, rmap.if_page_anon, kinds.init_rss_vec)},
        ),
        ("fork; fault 2; exit", {"rss_exact"}, {"exit": lambda p: p.drop(kinds.rss_vec_down)}),
    ],
    ids=[
        "fork counts shared memory as a file's",
        "zap counts shared memory as a file's",
        "zap counts anonymous pages as a file's",
        "zap forgets what it has met",
        "exit counts shared memory as a file's",
    ],
)
def test_a_page_that_is_counted_as_another_kind_is_caught(text, checks, edits):
    assert broken(LINUX_6_16.edit("a", "b", **edits), text) >= checks
