"""Results that last: written by many at a time, killed, on a full disk; listed, compared, followed over time."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from shm_layout.errors import MachineError, UsageError
from stress.cli import main
from stress.results.figures import compared, figures
from stress.results.store import Run, Store

OBJECTS = st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False) | st.integers() | st.text(), max_size=4)


def invoke(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def write(path: Path, writer: int) -> None:
    store = Store(path)
    run = store.begin({"command": f"writer {writer}", "machine": {"cpus": 2}})
    for number in range(20):
        store.add(run, {"writer": writer, "number": number})


@given(st.lists(st.lists(OBJECTS, max_size=3), max_size=3))
def test_what_goes_in_comes_out(tmp_path_factory: pytest.TempPathFactory, runs: list[list[dict[str, Any]]]) -> None:
    store = Store(tmp_path_factory.mktemp("r") / "r.sqlite")
    store.begin({"command": "the first"})
    for number, objects in enumerate(runs):
        store.add_all({"command": f"run {number}", "seed": number}, objects)
    found = store.runs()[1:]
    assert [list(run.objects) for run in found] == runs
    assert [(run.number, run.command, run.about["seed"]) for run in found] == [
        (number + 2, f"run {number}", number) for number in range(len(runs))
    ]


def test_many_write_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with ProcessPoolExecutor(6, get_context("spawn")) as pool:
        list(pool.map(write, [path] * 6, range(6)))
    runs = Store(path).runs()
    assert sorted(run.command for run in runs) == [f"writer {writer}" for writer in range(6)]
    for run in runs:
        assert [each["number"] for each in run.objects] == list(range(20))
        assert len({each["writer"] for each in run.objects}) == 1


WRITER = """
import sys
from pathlib import Path
from stress.results.store import Store
store = Store(Path(sys.argv[1]))
run = store.begin({"command": "killed"})
number = 0
while True:
    store.add(run, {"number": number, "text": "x" * 2000})
    print(number, flush=True)
    number += 1
"""


@pytest.mark.parametrize("after", range(5))
def test_a_writer_that_is_killed_keeps_what_it_had(tmp_path: Path, after: int) -> None:
    path = tmp_path / "r.sqlite"
    with subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [int(writer.stdout.readline()) for _ in range(after + 1)]
        time.sleep(0.013 * after)
        os.kill(writer.pid, signal.SIGKILL)
        said += [int(line) for line in writer.stdout]
    (run,) = Store(path).runs()
    numbers = [each["number"] for each in run.objects]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) in {len(said), len(said) + 1}
    Store(path).add(run.number, {"number": -1})
    assert len(Store(path).runs()[0].objects) == len(numbers) + 1


FULL = """
import resource, signal, sys
from pathlib import Path
from shm_layout.errors import MachineError
from stress.results.store import Store
store = Store(Path(sys.argv[1]))
run = store.begin({"command": "full"})
store.add(run, {"number": 0})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    store.add(run, {"text": "x" * 100_000})
except MachineError as error:
    print(error)
"""


def test_a_disk_that_is_full_takes_nothing_away(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    done = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith(f"{path}: ")
    assert "what was kept before is kept" in done.stdout
    assert [dict(each) for each in Store(path).runs()[0].objects] == [{"number": 0}]


def test_a_command_keeps_what_json_prints(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    line = ("explore", "v12", "fault 0 w | fault 0 w", "--seed", 7, "--results", path)
    table, as_json = invoke(*line), invoke(*line, "--json")
    assert (table.exit_code, as_json.exit_code) == (1, 1)
    first, second = Store(path).runs()
    printed = json.loads(as_json.stdout)
    said = printed.pop("about")
    (kept,) = second.objects
    assert {**kept, "seconds": 0} == {**printed, "seconds": 0}
    assert (second.about["seed"], second.about["machine"]) == (7, said["machine"])
    assert first.objects[0]["states"] == kept["states"]


def test_every_test_of_a_folder_is_an_object(tmp_path: Path) -> None:
    path, folder = tmp_path / "r.sqlite", Path(__file__).parents[1] / "examples" / "litmus"
    assert invoke("litmus", folder, "--results", path, "--jobs", 2).exit_code == 0
    (run,) = Store(path).runs()
    assert len(run.objects) == len(list(folder.rglob("*.litmus")))


def test_runs_are_listed_compared_and_followed(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    for text in ("fault 0 w | fault 0 w", "fault 0 w | fault 0 w; zap 0"):
        invoke("explore", "v12_sound", text, "--results", path)
    listed = json.loads(invoke("results", path, "--json").stdout)["runs"]
    assert [(run["run"], run["objects"]) for run in listed] == [(1, 1), (2, 1)]
    rows = json.loads(invoke("results", path, "--compare", 1, 2, "--json").stdout)["figures"]
    states = next(row for row in rows if row["figure"] == "states")
    assert states["ratio"] == pytest.approx(states["second"] / states["first"])
    assert "complete" not in {row["figure"] for row in rows}
    followed = json.loads(invoke("results", path, "--figure", "states", "--json").stdout)
    assert [row["value"] for row in followed["runs"]] == [states["first"], states["second"]]
    shown = invoke("results", path, "--show", 1).stdout.splitlines()
    assert json.loads(shown[0])["states"] == states["first"]
    assert "run 1" in invoke("results", path, "--compare", 1, 2).stdout
    picture = tmp_path / "states.svg"
    assert invoke("results", path, "--figure", "states", "--plot", picture).exit_code == 0
    assert "<svg" in picture.read_text()


def test_soak_keeps_each_round(tmp_path: Path) -> None:
    log, path = tmp_path / "soak.jsonl", tmp_path / "r.sqlite"
    line = ("soak", "--seconds", 3, "--round-seconds", 1, "--designs", "v12_sound", "--log", log, "--results", path)
    assert invoke(*line).exit_code == 0
    (run,) = Store(path).runs()
    assert [dict(each) for each in run.objects] == [json.loads(each) for each in log.read_text().splitlines()]


def test_a_log_of_soak_goes_in_as_it_is(tmp_path: Path) -> None:
    log, path = tmp_path / "soak.jsonl", tmp_path / "r.sqlite"
    line = ("soak", "--seconds", 3, "--round-seconds", 1, "--designs", "v12_sound", "--log", log)
    assert invoke(*line).exit_code == 0
    assert invoke("results", path, "--add", log).exit_code == 0
    (run,) = Store(path).runs()
    assert len(run.objects) == len(log.read_text().splitlines())
    assert figures(run)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing.sqlite",), "nothing.sqlite: no such file"),
        (("text",), "text is no file of results"),
        (("r.sqlite", "--show", 9), "r.sqlite has no run 9"),
        (("r.sqlite", "--compare", 1, 9), "r.sqlite has no run 9"),
        (("r.sqlite", "--figure", "none"), "no run has figure 'none'"),
        (("r.sqlite", "--show", 1, "--figure", "a"), "give one of the two"),
        (("r.sqlite", "--plot", "a.svg"), "name it with --figure"),
        (("r.sqlite", "--add", "text"), "text, line 1"),
        (("r.sqlite", "--add", "empty"), "empty has no JSON object"),
    ],
)
def test_wrong_use_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[object, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("this is text, and no database at all" * 30)
    (tmp_path / "empty").write_text("")
    Store(Path("r.sqlite")).add_all({"command": "one"}, [{"a": 1}])
    done = invoke("results", *words)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_folder_that_is_not_there_is_said_before_anything_is_done(tmp_path: Path) -> None:
    done = invoke("explore", "v12", "fault 0 w", "--results", tmp_path / "no" / "r.sqlite")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "no such folder" in done.stderr


def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE mine (a)")
    with pytest.raises(UsageError, match="is no file of results"):
        Store(path).runs()


def test_a_folder_that_cannot_be_written_is_an_error_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "r.sqlite").mkdir()
    with pytest.raises(MachineError, match="unable to open"):
        Store(tmp_path / "r.sqlite").begin({})


def test_figures_are_called_by_what_has_a_name() -> None:
    one = Run(1, {}, ({"rows": [{"design": "v12", "rate": 2.0, "ok": True}, {"rate": 3.0}]}, {"test": "SB", "n": 1}))
    assert figures(one) == {"[0].rows[v12].rate": 2.0, "[0].rows[1].rate": 3.0, "[SB].n": 1.0}
    other = Run(2, {}, (*one.objects[:1], {"test": "SB", "n": 0}))
    assert compared(one, other) == [{"figure": "[SB].n", "first": 1.0, "second": 0.0, "ratio": 0.0}]
