"""Traces for Perfetto: valid events, a track for each CPU, flows that lead from a write to the read that saw it."""

import json
from itertools import pairwise

import pytest
from click.testing import CliRunner

from stress import designs
from stress.cli import main
from stress.explore.counterexample.history import history
from stress.explore.counterexample.perfetto import STEP, perfetto
from stress.explore.model.model import build
from stress.explore.result import Violation
from stress.workload import Workload


@pytest.fixture(scope="module")
def found():
    model = build(designs.get("v12"), Workload.parse("fault 0 w | swap_out"))
    return history(model, Violation("mapcount", (0,) * 6 + (1,) * 13, False))


def checked(text):
    """The events of a trace file, each held against what the format asks of its phase."""
    events = json.loads(text)["traceEvents"]
    ends = {"ts", "id", "cat"}
    needed = {"M": {"args"}, "X": {"ts", "dur"}, "i": {"ts", "s"}, "s": ends, "f": ends | {"bp"}}
    for event in events:
        assert {"name", "ph", "pid", "tid"} | needed[event["ph"]] <= event.keys()
        assert all(isinstance(event[key], (int, float)) and event[key] >= 0 for key in ("ts", "dur") if key in event)
    return events


def test_each_step_is_a_slice_on_the_track_of_its_cpu(found):
    events = checked(perfetto(found))
    tracks = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    steps = [e for e in events if e.get("cat") == "step"]
    shown = [(e["name"], tracks[e["tid"]]) for e in sorted(steps, key=lambda e: e["ts"])]
    assert shown == [(move.step, f"CPU {move.cpu}") for move in found.moves]
    assert steps[-1]["args"]["breaks"] == "mapcount"
    assert steps[-1]["args"]["page 1 mapcount"] == "0 -> -1"


def test_slices_of_a_track_lie_within_each_other(found):
    events = [e for e in checked(perfetto(found)) if e["ph"] == "X"]
    for track in {e["tid"] for e in events}:
        ends = []
        for event in sorted((e for e in events if e["tid"] == track), key=lambda e: (e["ts"], -e["dur"])):
            while ends and ends[-1] <= event["ts"]:
                ends.pop()
            assert not ends or event["ts"] + event["dur"] <= ends[-1]
            ends.append(event["ts"] + event["dur"])


def test_flows_lead_from_a_write_to_what_saw_it(found):
    events = checked(perfetto(found))
    ends = {phase: {e["id"]: e for e in events if e["ph"] == phase} for phase in "sf"}
    assert ends["s"].keys() == ends["f"].keys() != set()
    for number, begin in ends["s"].items():
        end = ends["f"][number]
        writer, reader = (found.moves[int(e["ts"] // STEP)] for e in (begin, end))
        assert (writer.cpu + 1, reader.cpu + 1) == (begin["tid"], end["tid"])
        assert writer.cpu != reader.cpu
        word = next(a.word for a in writer.writes() if a.name == begin["name"])
        assert reader.seen[word] == writer.number


def test_a_run_writes_a_sample_of_its_operations(tmp_path):
    path = tmp_path / "run.json"
    options = ["--workers", "2", "--operations", "20000", "--seed", "3", "--perfetto", str(path)]
    done = CliRunner().invoke(main, ["run", *options])
    assert done.exit_code == 0, done.output
    events = [e for e in checked(path.read_text()) if e["ph"] == "X"]
    assert {e["tid"] for e in events} == {1, 2}
    assert 200 < len(events) <= 512
    assert min(e["ts"] for e in events) == 0
    assert {e["name"] for e in events} >= {"fault", "zap", "statm"}
    for track in (1, 2):  # one worker performs one operation at a time
        mine = sorted((e for e in events if e["tid"] == track), key=lambda e: e["ts"])
        assert all(a["ts"] + a["dur"] <= b["ts"] + 1e-6 for a, b in pairwise(mine))
