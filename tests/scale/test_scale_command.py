"""The command `pte-stress scale`: its table, its JSON, its files, and what it refuses."""

import csv
import json

import pytest
from click.testing import CliRunner

from stress.cli import main
from stress.commands import scale as command
from stress.scale import table_2004
from stress.scale.machine import parse_machine


def scale(*arguments):
    return CliRunner().invoke(main, ["scale", *map(str, arguments)])


def test_designs_are_shown_by_number_of_cpus():
    done = scale("--cpus", "1,8", "--faults", 800)
    assert done.exit_code == 0
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(("v12_sound", "page_table_lock"))]
    assert [row[:2] for row in rows] == [[d, n] for d in ("page_table_lock", "v12_sound") for n in ("1", "8")]
    assert "placement posted" in done.stdout


def test_json_has_the_same_bytes_for_the_same_seed():
    first, again = (scale("--design", "v12", "--cpus", "8", "--faults", 800, "--seed", 3, "--json") for _ in range(2))
    told, told_again = json.loads(first.stdout), json.loads(again.stdout)
    assert told["about"].pop("date") <= told_again["about"].pop("date")
    assert json.dumps(told) == json.dumps(told_again)
    (row,) = told["rows"]
    assert (row["design"], row["cpus"], row["faults"]) == ("v12", 8, 800)
    assert sum(row["shares"].values()) == pytest.approx(1)


def test_without_work_a_fault_is_atomics_and_lines():
    done = scale("--design", "v12", "--cpus", "4", "--faults", 800, "--work", "none", "--json")
    (row,) = json.loads(done.stdout)["rows"]
    assert row["work"] == 0
    assert row["shares"]["lines"] > 0.5


def test_predictions_are_written_in_the_published_columns(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "PREDICTED_GIB", (1, 64))
    whole = table_2004.predict
    monkeypatch.setattr(table_2004, "predict", lambda *args, **more: whole(*args, **{**more, "faults": 512}))
    path = tmp_path / "out.csv"
    assert scale("--predict", path).exit_code == 0
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert list(rows[0]) == ["design", "gb", "rep", "threads", "faults_per_wall_s", "faults_per_wall_s_as_published"]
    assert len(rows) == 3 * 2 * 10
    assert {(row["design"], row["rep"]) for row in rows} == {
        ("v12_list_rss", "3"),
        ("page_table_lock", "3"),
        ("v11_sloppy_rss_prefault", "10"),
    }
    for row in rows:
        same = row["faults_per_wall_s"] == row["faults_per_wall_s_as_published"]
        assert same == (int(row["threads"]) <= 128)


def test_a_measured_machine_is_kept_and_can_be_simulated(tmp_path, monkeypatch):
    from stress.scale import measure_machine

    monkeypatch.setattr(measure_machine, "SECONDS", 0.02)
    monkeypatch.setattr(measure_machine, "POOL", 1 << 20)
    path = tmp_path / "mine.toml"
    assert scale("--measure", "--save", path).exit_code == 0
    machine = parse_machine(path.read_text(), "mine")
    assert machine.line.own_atomic_ns > 0
    assert scale("--machine", path, "--cpus", "1", "--design", "v12", "--faults", 100).exit_code == 0


def test_a_picture_is_drawn_and_a_page_written(tmp_path):
    pytest.importorskip("matplotlib")
    path, page = tmp_path / "scale.svg", tmp_path / "scale.html"
    done = scale("--design", "v12", "--cpus", "1,2", "--faults", 100, "--plot", path, "--html", page, "--json")
    assert done.exit_code == 0
    assert path.read_text().lstrip().startswith("<?xml")
    text = page.read_text()
    assert "Simulated:" in text
    assert "pte-stress scale --design v12" in text
    assert text.count("<svg") == 1
    for row in json.loads(done.stdout)["rows"]:
        assert f"v12: {row['per_second']:,.6g} (faults per second, all together) at {row['cpus']} (CPUs)" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cpus", "0"], "each number is 1 to 512"),
        (["--cpus", "many"], "give numbers as in 1,2,4"),
        (["--cpus", "600"], "each number is 1 to 512"),
        (["--kind", "major"], "no kind of fault 'major'"),
        (["--fit", "--measure"], "give one of --fit, --predict and --measure"),
        (["--save", "x.toml"], "--save keeps the machine of --fit or --measure"),
        (["--readers", "512"], "one must fault"),
        (["--design", "nothing"], "nothing"),
    ],
)
def test_what_is_refused_is_refused_in_one_line(arguments, said):
    done = scale(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
