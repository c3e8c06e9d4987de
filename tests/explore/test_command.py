"""The commands `explore` and `replay`, as a user calls them."""

import json
import os
import resource
import signal
import subprocess
import sys

import psutil
import pytest
from click.testing import CliRunner
from processes import without_compiling

from shm_layout.errors import UsageError
from stress.cli import main
from stress.explore.counterexample import saved
from stress.explore.searching.search import Search

RACE = "fault 0 w | swap_out frame=1"


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_counterexample_has_a_column_for_each_cpu_and_the_values():
    result = run("explore", "v12", RACE, "--check", "mapcount")
    assert result.exit_code == 1
    assert "CPU 0" in result.stdout
    assert "CPU 1" in result.stdout
    assert "pte 0:0: none -> frame 1 wdy" in result.stdout
    assert "page 1 mapcount: 0 -> -1" in result.stdout
    assert "complete: every state" in result.stdout


def test_json_is_one_object_with_these_fields():
    result = run("explore", "v12", RACE, "--arch", "64", "--json")
    data = json.loads(result.stdout)
    assert result.exit_code == 1
    assert list(data) == [
        "design",
        "arch",
        "workload",
        "complete",
        "states",
        "transitions",
        "depth",
        "seconds",
        "outcomes",
        "violations",
        "about",
    ]
    assert data["workload"] == RACE
    mapcount = next(v for v in data["violations"] if v["check"] == "mapcount")
    assert mapcount["length"] == len(mapcount["steps"])
    word = {"structure": "page", "instance": 1, "field": "mapcount"}
    last = mapcount["steps"][-1]
    assert (last["cpu"], last["step"], last["detail"]) == (1, "page_remove_rmap", "page 1 mapcount: 0 -> -1")
    assert (last["operation"], last["begins"]) == ("swap_out frame=1", False)
    assert word | {"old": 0, "new": -1} in last["writes"]
    assert mapcount["steps"][0]["begins"]


def test_a_sound_design_ends_with_status_0():
    result = run("explore", "v12_sound", RACE, "--arch", "pae", "--json")
    assert result.exit_code == 0
    data = json.loads(result.stdout)
    assert data["complete"]
    assert data["violations"] == []


def test_saved_and_replayed(tmp_path):
    file = tmp_path / "found.json"
    assert run("explore", "v12", RACE, "--check", "mapcount", "--save", file).exit_code == 1
    again = run("replay", file, "--states")
    assert again.exit_code == 1
    assert "page 1 mapcount: 0 -> -1" in again.stdout
    assert "after step 5:" in again.stdout
    data = json.loads(run("replay", file, "--json").stdout)
    assert (data["check"], data["length"]) == ("mapcount", len(data["steps"]))


def test_a_counterexample_is_saved_although_nobody_reads_it(tmp_path):
    command = f"{sys.executable} -m stress explore v12 '{RACE}' --check mapcount --save found.json | true"
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True, timeout=500)
    assert run("replay", tmp_path / "found.json").exit_code == 1


def test_the_counterexample_is_printed_although_it_can_no_longer_be_saved(tmp_path, monkeypatch):
    def refuse(path, *_):
        raise UsageError(f"cannot write {path}")

    monkeypatch.setattr(saved, "save", refuse)
    result = run("explore", "v12", RACE, "--check", "mapcount", "--save", tmp_path / "found.json")
    assert result.exit_code == 2
    assert "page 1 mapcount: 0 -> -1" in result.stdout
    assert "cannot write" in result.stderr


def test_workload_from_a_file(tmp_path):
    text, as_json = tmp_path / "w.txt", tmp_path / "w.json"
    text.write_text("fault 0 w\n| swap_out frame=1\n")
    from stress.workload import Workload

    as_json.write_text(json.dumps(Workload.parse(RACE, arch="pae").to_json()))
    assert json.loads(run("explore", "v12_sound", "--file", text, "--json").stdout)["arch"] == "64"
    assert json.loads(run("explore", "v12_sound", "--file", as_json, "--json").stdout)["arch"] == "pae"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["v12", "fault 9 w | zap 0", "--pages", "2"], "page that is not there"),
        (["v12", "3: fault 0 || zap 0 | zap 0"], "CPU 3"),
        (["v12", "fault 0 mm=1"], "takes a page"),
        (["v12", "statm mm=7", "--mms", "1"], "mm that is not there"),
        (["v12", "fualt 0"], "did you mean fault"),
        (["v12", "zap 3-1"], "ends before it begins"),
        (["mremap", "mremap 0"], "needs two pages, as in `mremap 0-1`"),
        (["v12", ""], "empty"),
        (["v12"], "give one workload"),
        (["v12", RACE, "--file", "x"], "give one workload"),
        (["v12", "--file", "/nonexistent"], "cannot read"),
        (["v99", RACE], "no design"),
        (["v12", RACE, "--max-states", "0"], "above zero"),
        (["v12", RACE, "--max-memory", "0"], "above zero"),
        (["v12", RACE, "--max-seconds", "0"], "above 0"),
        (["v12", RACE, "--check", "mapcuont"], "did you mean mapcount"),
        (["v12", RACE, "--runs", "5"], "means nothing"),
        (["v12", RACE, "--frames", "1"], "frames"),
        (["v12", RACE, "--save", "/nowhere/found.json"], "name a file, in a folder that is there"),
        (["v12", RACE, "--save", "/proc"], "is a directory"),
        # Nobody can make files in /proc, not even root.
        (["v12", RACE, "--save", "/proc/found.json"], "cannot write in /proc"),
        (["v12", "truncate 0"], "anonymous"),
        (["v12", '{"machine": {"cpus": 1}}'], "operations"),
        (["v12", "{"], "JSON"),
        (["v12", "fault 0; fork || zap 0", "--arch", "pae", "--frames", "2"], "'fork' of the setup breaks pfn_valid"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, said):
    result = run("explore", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert said in result.stderr
    assert len(without_compiling(result.stderr).strip().splitlines()) == 1


def test_replay_refuses_what_was_edited(tmp_path):
    file = tmp_path / "found.json"
    run("explore", "v12", RACE, "--save", file)
    file.write_text(file.read_text().replace('"v12"', '"v12_sound"'))
    result = run("replay", file)
    assert result.exit_code == 2
    assert len(without_compiling(result.stderr).strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fault 99999999999999999999"], "a machine to explore is small: anon is"),
        (["fault " + "9" * 5000], "fault takes"),
        (["fault 0", "--mms", "5000"], "mms is 5,000, at most 4,096"),
        (["fault 0", "--batch", "99999999999999999999"], "batch is 99,999"),
        (["fault 0", "--max-seconds", "nan"], "--max-seconds nan: give a finite time above 0"),
        (['{"machine": {"frames": "x"}, "operations": "fault 0"}'], "frames of a machine is a whole number"),
        (['{"machine": {"mmu": "yes"}, "operations": "fault 0"}'], "mmu of a machine is a whole number, or true"),
        (["--file", "/dev/zero"], "/dev/zero is longer than 64 MiB: name a file with a workload"),
        (["--file", "/dev"], "cannot read /dev (Is a directory): name a file"),
        (["--file", sys.executable], "name a file with a workload"),
    ],
)
def test_what_is_no_small_workload_is_one_line(arguments, message):
    done = subprocess.run(
        [sys.executable, "-m", "stress", "explore", "v12", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert without_compiling(done.stderr).count("\n") == 1


def test_a_limit_on_address_space_leaves_room_for_fewer_states():
    limit = psutil.Process().memory_info().vms + 2**31
    command = [sys.executable, "-m", "stress", "explore", "v12_sound", RACE, "--max-memory", str(2**22)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert done.returncode == 0, done.stderr
    assert "complete" in done.stdout


@pytest.mark.parametrize("design", ["v12", "v12_sound"])
@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_interrupted_it_prints_what_it_has(monkeypatch, design, as_json):
    """And its status says so, whether a check broke by then or none."""

    def advance(self, *budget):
        if budget != (0,):
            visited.append(1)
        if len(visited) == 20:
            raise KeyboardInterrupt
        return original(self, *budget or (500,))

    visited, original = [], Search.advance
    monkeypatch.setattr(Search, "advance", advance)
    result = run("explore", design, "fault 0 w; zap 0 | swap_out frame=1; fault 1 w | fault 0 w; fork", *as_json)
    assert (result.exit_code, without_compiling(result.stderr)) == (130, "\npte-stress: interrupted\n")
    if as_json:
        assert not json.loads(result.stdout)["complete"]
    else:
        assert "not complete: interrupted" in result.stdout


@pytest.mark.parametrize("command", [["explore", "v12_sound", "statm"], ["run", "--seconds", "1"]])
def test_a_cold_start_says_that_it_compiles_where_no_terminal_is(tmp_path, command):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    given = [sys.executable, "-m", "stress", *command]
    with subprocess.Popen(given, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=100)
    assert line.startswith("pte-stress: compiling ")
    assert without_compiling(rest) == "\npte-stress: interrupted\n"
