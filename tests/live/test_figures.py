"""What is said of figures by `live --explain`, `rss_tolerance` and the documents, against what is measured."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

import stress
from shm_layout.errors import MachineError, UsageError
from stress.commands.live import live
from stress.live import figures, measure
from stress.live.figures import BY_NAME, FIGURES, Explanation, explain, find_figure
from stress.live.held_back import hold_back
from stress.live.reading.accounting import Counting, by_version, era_rows
from stress.live.reading.machine import kernel_release, online_cpus
from stress.system.cpus import allowed_cpus
from stress.testing import rss_tolerance

DOCUMENT = Path(stress.__file__).parents[1] / "docs" / "vmrss.md"


@pytest.fixture(scope="module")
def said():
    return explain(threads=3)


@pytest.fixture(scope="module")
def outcome():
    found = measure.measure(
        processes=1, threads=2, rounds=3, seconds=None, seed=1, budget=measure.least_memory(2, 2) * 2, folder=None
    )
    assert found is not None
    return found


def on(version, cpus=8, threads=3):
    """What is said of an unpatched kernel."""
    return Explanation("x", cpus, threads, 4096, by_version(version, cpus), ())


def test_nothing_is_seen_to_be_off_by_more_than_is_said(said, outcome):
    assert said.ways == outcome.said.ways
    for name, errors in outcome.counters.items():
        assert errors.held_back
        assert errors.seen <= said.bound(BY_NAME[name]).pages, name


def test_what_is_held_back_on_purpose_comes_to_half_of_the_bound(outcome):
    for name in (("stat", "rss"), ("status", "VmHWM"), ("getrusage", "ru_maxrss")):
        errors = outcome.counters[name]
        assert 2 * errors.provoked >= errors.bound.pages or outcome.reach
    if len(allowed_cpus()) == online_cpus():
        assert outcome.reach == ""


def test_vmrss_above_a_number_of_pages_is_seen(monkeypatch, outcome):
    vmrss = outcome.counters["status", "VmRSS"]
    monkeypatch.setattr(vmrss, "held_back", [-7])
    monkeypatch.setattr(vmrss, "errors", [3])
    assert outcome.above(6)
    assert not outcome.above(7)


def test_too_little_memory_is_the_reason_for_less(monkeypatch):
    monkeypatch.setattr(measure, "hold_back", lambda *given, pages, most: hold_back(*given, pages=pages, most=0))
    found = measure.measure(
        processes=1, threads=1, rounds=1, seconds=None, seed=1, budget=measure.least_memory(1, 1), folder=None
    )
    if found.said.ways["stat"].counting == Counting.PERCPU and len(allowed_cpus()) == online_cpus():
        assert found.reach.startswith("there is memory for")
        assert found.counters["stat", "rss"].provoked < found.counters["stat", "rss"].bound.pages
    assert found.ok


def test_a_bound_that_is_too_small_is_broken_on_purpose(monkeypatch, outcome):
    stat = outcome.counters["stat", "rss"]
    if not stat.provoked:
        pytest.skip("this kernel keeps nothing back")
    monkeypatch.setattr(stat, "bound", type(stat.bound)(stat.provoked - 1, "too small"))
    assert not outcome.ok
    sentence = outcome.recommendation()
    assert f"stat rss was off by {stat.provoked} pages" in sentence
    assert "beyond the bound" in sentence


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ((2, 6, 30), "VmRSS, statm and stat are exact on this kernel."),
        ((6, 1, 170), "may each be off by 3,168 pages, 12.4 MiB, on this kernel: where that is too much, read Rss"),
        ((6, 8, 0), "may each be off by 744 pages, 2.9 MiB"),
        ((6, 12, 117), "VmRSS is exact on this kernel; field 24 of stat may be off by 744 pages, 2.9 MiB: do not use"),
    ],
)
def test_the_recommendation_follows_from_the_kernel(version, sentence):
    assert sentence in on(version).recommendation()


def test_anonymous_pages_come_singly_where_threads_keep_counts():
    old = on((6, 1, 0))
    assert old.bound(BY_NAME["status", "RssAnon"]).pages == 66 * 3
    assert old.bound(BY_NAME["status", "RssFile"]).pages == 66 * 3 * 16


def test_what_to_read_instead_is_exact():
    for version in ((2, 6, 30), (6, 1, 0), (6, 8, 0), (6, 18, 0)):
        one = on(version)
        for figure in FIGURES:
            limit, instead = one.bound(figure), one.instead(figure)
            assert bool(instead) == (limit is None or limit.pages > 0)
            if instead in {str(f) for f in FIGURES}:
                assert one.bound(find_figure(instead)).pages == 0, (version, figure)


def test_explain_prints_a_table_and_ends_with_the_recommendation(said):
    done = CliRunner().invoke(live, ["--explain", "--threads", "3"])
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == said.recommendation()
    for figure in FIGURES:
        assert str(figure) in done.stdout
        assert not figure.no_bound or figure.no_bound in done.stdout


def test_explain_as_json_says_time_host_and_units(said):
    done = CliRunner().invoke(live, ["--explain", "--threads", "3", "--json"])
    found = json.loads(done.stdout)
    assert found["kernel"] == kernel_release()
    assert found["host"] == os.uname().nodename
    assert found["time"].endswith("+00:00")
    for figure, row in zip(FIGURES, found["figures"], strict=True):
        limit = said.bound(figure)
        assert row["bound_pages"] == (None if limit is None else limit.pages)
        assert row["bound_bytes"] == (None if limit is None else limit.pages * found["page_size"])


@pytest.mark.parametrize(("version", "status"), [((6, 18, 0), 0), ((6, 8, 0), 1)])
def test_fail_above_looks_at_what_vmrss_can_be_off_by(monkeypatch, version, status):
    monkeypatch.setattr(figures, "explain", lambda threads: on(version))
    assert CliRunner().invoke(live, ["--explain", "--fail-above", "0"]).exit_code == status
    assert CliRunner().invoke(live, ["--explain", "--fail-above", "744"]).exit_code == 0


def test_rss_tolerance_is_what_explain_says(said):
    for name in ("stat", "statm", "status", "psutil", "smaps_rollup", "VmHWM", "ru_maxrss", "rssanon", "statm shared"):
        assert rss_tolerance(name, threads=3) == said.bound(find_figure(name)).pages
    assert rss_tolerance("smaps_rollup") == 0


def test_rss_tolerance_refuses_what_it_does_not_know():
    with pytest.raises(UsageError, match="no figure 'vmrs'; did you mean vmrss"):
        rss_tolerance("vmrs")
    with pytest.raises(MachineError, match=r"memory\.current has no bound: it counts the page cache"):
        rss_tolerance("memory.current")
    with pytest.raises(UsageError, match="at least 1"):
        rss_tolerance("stat", threads=0)


def test_the_document_has_the_eras_as_the_code_has_them():
    text = DOCUMENT.read_text(encoding="utf-8")
    for row in era_rows():
        assert "| " + " | ".join(row) + " |" in text
