"""`--dask` of hunt, litmus and soak: the same as without, on the workers of a cluster."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stress.cli import main
from stress.cluster.sent import Sent
from stress.commands import soak_round
from stress.commands.soak_cluster import Played, Task, named_here, play_task
from stress.commands.soak_round import Round, Stop
from stress.resolve import resolve_design

pytest.importorskip("distributed")
MINE = """
from stress.designs import get
from stress.kernel.rss.amount import rss_up
from stress.kernel.rss.atomic import atomic_add

MINE = get("atomic").edit(
    "twice", "a page is counted twice", name="mine", fault=lambda p: p.replace(rss_up, rss_up, atomic_add)
)
"""
GALLERY = Path(__file__).parents[2] / "examples/litmus"


def call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def told(*words: object) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in call(*words).stdout.splitlines()]
    return [{key: value for key, value in line.items() if key not in ("about", "seconds")} for line in lines]


def test_litmus_tests_come_to_the_same_in_the_same_order(tmp_path: Path) -> None:
    files = sorted(GALLERY.glob("*.litmus"))[:12]
    (tmp_path / "torn.litmus").write_text("C torn\n{}\nP0 {")
    given = ["litmus", *files[:5], tmp_path / "torn.litmus", tmp_path / "absent.litmus", *files[5:], "--json"]
    there = told(*given, "--dask", "local")
    assert there == told(*given, "--jobs", "1")
    assert len(there) == 14


def test_a_hunt_looks_at_what_workers_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "mine.py").write_text(MINE)
    name = f"{tmp_path}/mine.py:MINE"
    done = call("hunt", name, "--seconds", "30", "--first", "--dask", "local", "--json", "--seed", "3")
    assert done.exit_code == 1, done.output
    found = json.loads(done.stdout)
    assert {violation["check"] for violation in found["violations"]} <= {"rss_exact", "read_pair"}
    assert found["workloads"] > 0


def test_rounds_of_a_soak_are_logged_as_they_come(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    given = ["soak", "--seconds", "1", "--round-seconds", "0.5", "--log", log, "--designs", "v12_sound"]
    done = call(*given, "--dask", "local")
    assert done.exit_code == 0, done.output
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(records) > 1
    assert [record["round"] for record in records] == [*range(len(records))]
    assert all(record["design"] == "v12_sound" and record["ok"] and record["operations"] for record in records)


def test_what_a_round_failed_with_names_the_design_as_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    mine = f"{tmp_path}/mine.py:MINE"
    resolve_design(mine)

    def failed(arguments: list[str], timeout: float, stop: Stop) -> tuple[int, str, str]:
        named = arguments[arguments.index("--design") + 1]
        Path(arguments[arguments.index("--save") + 1]).write_text(json.dumps({"design": named}))
        return 1, json.dumps({"ops": {"fault": 7}, "ok": False, "checks": [{"name": "rss_exact", "ok": False}]}), ""

    monkeypatch.setattr(soak_round, "execute", failed)
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    given = Round(mine, 5, 1.0)
    played = play_task(Task(Sent.of(mine), given))
    assert played.record["design"] == "mine.py:MINE"
    record = named_here(played, 3, given, tmp_path / "kept.json")
    killed = Played(played.record, json.dumps({"command": ["run", "mine.py:MINE"], "status": None}).encode())
    named_here(killed, 4, given, tmp_path / "killed.json")
    assert json.loads((tmp_path / "killed.json").read_text()) == {"command": ["run", mine], "status": None}
    assert (record["round"], record["design"], record["broken"]) == (3, mine, ["rss_exact"])
    assert mine in record["command"]
    assert record["failure"] == str(tmp_path / "kept.json")
    assert json.loads((tmp_path / "kept.json").read_text()) == {"design": mine}


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["litmus", GALLERY, "--dask", "here"], 2, "Invalid url scheme"),
        (["litmus", GALLERY, "--dask", "xyz://h:1"], 2, "unknown address scheme"),
        (["hunt", "v12", "--dask", "tcp://h"], 2, "missing port number"),
        (["hunt", "v12", "--dask", "tcp://127.0.0.1:9"], 3, "no scheduler answers there"),
        (["hunt", "v12", "--dask", "tcp://h:1", "--jobs", "3"], 2, "--jobs says how many workers --dask local starts"),
        (["litmus", GALLERY / "SB.litmus", "--dask", "local", "--run"], 2, "--run is of this machine"),
        (["litmus", GALLERY / "SB.litmus", "--dask", "local", "--promela", "x"], 2, "--promela is of this machine"),
    ],
)
def test_what_cannot_be_done_is_a_line(words: list[object], status: int, said: str) -> None:
    done = call(*words)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (status, "", 1)
    assert said in done.stderr


def test_without_the_package_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = call("hunt", "v12", "--dask", "local")
    assert done.exit_code == 2
    assert "pip install 'pte-stress[cluster]'" in done.stderr
