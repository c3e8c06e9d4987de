"""`pte-stress rss` as its users see it, and its pictures."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from stress.cli import main
from stress.explore import explore
from stress.explore.result import INTERRUPTED
from stress.report.plot import draw_table
from stress.report.published import published_2004
from stress.rss.explored import explore_counter

KEYS = {
    "name",
    "year",
    "bound_pages",
    "worst_error_pages",
    "median_error_pages",
    "rest_error_pages",
    "update_ns",
    "update_contended_ns",
    "read_ns",
    "precise_read_ns",
    "spread",
    "bytes_per_mm",
    "explored",
    "ok",
}


def test_what_was_interrupted_is_no_failure(monkeypatch):
    """Neither in the status nor in the table."""

    def interrupted(*args, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("stress.rss.accuracy.measure_accuracy", interrupted)
    done = rss("--cpus", "4", "--counter", "atomic")
    assert done.exit_code == 130
    assert "atomic" in done.stdout
    assert "NO" not in done.stdout


def test_each_table_is_printed_as_soon_as_it_is_complete(monkeypatch):
    """What was interrupted later is told without figures, and nothing is printed twice."""

    def interrupted(*args, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("stress.rss.explored.explore_design", interrupted)
    done = rss("--cpus", "4", "--counter", "atomic")
    assert done.exit_code == 130
    titles = ["Errors in pages", "Nanoseconds a change", "Nanoseconds a read", "What the explorer found"]
    assert [done.stdout.count(title) for title in titles] == [1, 1, 1, 1]
    assert sorted(done.stdout.index(title) for title in titles) == [done.stdout.index(title) for title in titles]
    told = done.output.index("interrupted: what follows")
    assert done.output.index("Nanoseconds a read") < told < done.output.index("What the explorer found")


def test_an_exploration_that_was_interrupted_is_no_answer(monkeypatch):
    def interrupted(*args, **more):
        return replace(explore(*args, **more), complete=False, bound=INTERRUPTED)

    monkeypatch.setattr("stress.rss.explored.explore", interrupted)
    with pytest.raises(KeyboardInterrupt):
        explore_counter("atomic")


def rss(*args):
    return CliRunner().invoke(main, ["rss", "--updates", "20000", "--seed", "5", *args])


def test_json_is_one_object_with_the_figures_of_each_counter(tmp_path):
    page = tmp_path / "rss.html"
    chosen = ("--counter", "percpu", "--counter", "atomic")
    result = rss("--cpus", "4", "--hop", *chosen, "--json", "--html", str(page))
    assert result.exit_code == 0, result.output
    assert "every counter keeps what it promises" in page.read_text()
    again = "pte-stress rss --counter percpu --counter atomic --cpus 4 --hop --updates 20000 --seed 5"
    assert again in page.read_text()
    found = json.loads(result.stdout)
    assert (found["cpus"], found["threads"]) == (4, 4)
    atomic, percpu = found["counters"]
    assert set(atomic) == set(percpu) == KEYS
    assert (atomic["name"], atomic["year"]) == ("atomic", 2004)
    assert atomic["bound_pages"] == atomic["worst_error_pages"] == 0
    assert atomic["precise_read_ns"] is None
    assert percpu["worst_error_pages"] == percpu["bound_pages"] == percpu["rest_error_pages"] == 31 * 4
    assert percpu["bytes_per_mm"] == 2 * 8 * (2 + 4)
    assert set(percpu["read_ns"]) == {"1", "16", "256"}
    assert percpu["spread"].keys() == {"update", "bare", "contended", "read_1", "read_16", "read_256", "precise"}
    assert percpu["spread"]["update"]["min"] == pytest.approx(percpu["update_ns"], abs=0.01)
    assert percpu["explored"]["complete"]
    assert not percpu["explored"]["violations"]
    assert [atomic["ok"], percpu["ok"]] == [True, True]


def test_table_names_bound_published_figure_and_cores():
    result = rss("--cpus", "2", "--counter", "tree")
    assert result.exit_code == 0, result.output
    assert "192 MiB guaranteed" in result.output
    assert "batch * levels * CPUs" in result.output
    assert "contention is that of" in result.output


def test_a_broken_promise_is_exit_status_1(monkeypatch):
    """A counter that declares less than it needs."""
    from dataclasses import replace

    from stress import designs
    from stress.design import EXACT
    from stress.rss import subjects

    lying = replace(designs.get("percpu"), bound=EXACT)
    monkeypatch.setattr(subjects.Subject, "design", property(lambda self: lying))
    result = rss("--cpus", "2", "--counter", "percpu")
    assert result.exit_code == 1
    assert "NO" in result.output


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--counter", "percpuu"], "did you mean"),
        (["--cpus", "1025"], "1025"),
        (["--plot", "figure.pdf"], ".png or .svg"),
        (["--plot", "/nowhere/figure.png"], "no such folder"),
    ],
)
def test_wrong_usage_is_one_line(args, says):
    result = rss(*args)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_published_figures_are_whole():
    rows = published_2004()
    assert {row.design for row in rows} >= {"page_table_lock", "v12_list_rss", "v11_sloppy_rss_prefault"}
    assert next(r for r in rows if (r.design, r.threads) == ("page_table_lock", 1)).faults_per_wall_s == 45097.498


def test_picture_of_a_table_shows_ours_and_theirs(tmp_path):
    pytest.importorskip("matplotlib")
    file = tmp_path / "faults.svg"
    draw_table(file, {"v12_sound": {1: 1e6, 2: 2e6}}, "anon-write", "2 cores")
    drawn = file.read_text()
    for label in ("v12_sound", "page_table_lock (published 2004)", "faults per second", "2 cores"):
        assert label in drawn
