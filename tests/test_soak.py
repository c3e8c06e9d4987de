"""`pte-stress soak`: rounds are logged, resumed, bounded, and every failure is kept."""

import errno
import importlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from shm_layout.errors import UsageError
from stress import designs
from stress.cli import main
from stress.commands import soak_log, soak_round
from stress.commands.run import run
from stress.workers.mix import parse_mix

ROUNDS = 5
"""Rounds of a soak: no clock says when it ends, but the runs."""
SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "soak.py"


@pytest.fixture(scope="module")
def soak():
    return importlib.import_module("stress.commands.soak")


def record(number, design="v12_sound", ok=True):
    return {"round": number, "design": design, "operations": 1000 + number, "seconds": 1.5, "ok": ok}


class Runs:
    """Stands for `pte-stress run`: what each call gives, one after the other; ``now``: each takes a second."""

    def __init__(self, *results):
        self.results = list(results)
        self.commands = []
        self.now = 0.0

    def __call__(self, arguments, timeout, stop):
        self.commands.append(arguments)
        status, saves = self.results.pop(0) if self.results else (0, False)
        if saves:
            Path(arguments[arguments.index("--save") + 1]).write_text('{"format": "saved by run"}')
        ok = status == 0 or (status == 130 and not saves)
        found = {"seconds": 1.0, "ops": {"fault": 70, "zap": 7}, "checks": [{"name": "rss_exact", "ok": ok}], "ok": ok}
        self.now += 1
        return status, json.dumps(found) if status in (0, 1, 130) else "", "last words"


def start(soak, monkeypatch, folder, runs, *more):
    monkeypatch.setattr(soak_round, "execute", runs)
    for module in (soak, soak_round):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: runs.now, strftime=time.strftime))
    monkeypatch.setattr(soak_round.signal, "signal", lambda number, handler: None)
    arguments = ["--seconds", str(ROUNDS), "--log", str(folder / "log.jsonl"), "--designs", "v12_sound,v12", *more]
    return CliRunner().invoke(main, ["soak", *arguments])


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_rounds_are_logged_and_go_on_where_they_stopped(soak, monkeypatch, tmp_path):
    first = start(soak, monkeypatch, tmp_path, Runs())
    assert first.exit_code == 0, first.output
    before = lines(tmp_path)
    assert [line["seconds"] for line in before] == [1.0] * ROUNDS
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"round": 9999, "half a li')
    second = start(soak, monkeypatch, tmp_path, Runs())
    assert f"has {ROUNDS} rounds: going on" in second.output
    after = lines(tmp_path)
    assert after[: len(before)] == before
    assert [line["round"] for line in after] == list(range(len(after)))
    assert [line["design"] for line in after[:4]] == ["v12_sound", "v12"] * 2
    assert len({line["seed"] for line in after}) == len(after) == 2 * ROUNDS
    total = sum(line["operations"] for line in after if line["design"] == "v12")
    assert f"{total:,}" in second.output


def test_a_design_that_is_named_twice_has_two_turns(soak, monkeypatch, tmp_path):
    start(soak, monkeypatch, tmp_path, Runs(), "--designs", "v12,v12,atomic")
    assert [line["design"] for line in lines(tmp_path)][:4] == ["v12", "v12", "atomic", "v12"]


def test_failures_are_kept_with_what_reproduces_them(soak, monkeypatch, tmp_path):
    runs = Runs((1, True), (3, False), (None, False))
    result = start(soak, monkeypatch, tmp_path, runs)
    assert result.exit_code == 1
    found = lines(tmp_path)
    assert [line["ok"] for line in found[:4]] == [False] * 3 + [True]
    assert found[0]["broken"] == ["rss_exact"]
    saved = [json.loads(Path(line["failure"]).read_text()) for line in found[:3]]
    assert saved[0] == {"format": "saved by run"}
    assert saved[1] == {"command": found[1]["command"], "status": 3, "stderr": "last words"}
    assert saved[2]["status"] is None
    assert found[0]["command"][2:] == runs.commands[0][:-2]
    assert str(found[0]["seed"]) in result.output


def test_a_round_that_an_assertion_ended_is_a_failure_without_figures(soak, monkeypatch, tmp_path):
    def ended(arguments, timeout, stop):
        checks = [{"name": "user", "ok": False, "detail": "an assertion failed"}]
        runs.now += 1
        return 1, json.dumps({"design": "v12", "checks": checks, "ok": False}), ""

    runs = Runs()
    monkeypatch.setattr(runs.__class__, "__call__", lambda self, *given: ended(*given))
    result = start(soak, monkeypatch, tmp_path, runs)
    assert result.exit_code == 1
    assert [(line["broken"], line["operations"]) for line in lines(tmp_path)] == [(["user"], 0)] * ROUNDS


def test_the_page_has_each_design_and_links_to_the_failures(soak, monkeypatch, tmp_path):
    page = tmp_path / "soak.html"
    result = start(soak, monkeypatch, tmp_path, Runs((1, True), (0, False)), "--html", str(page))
    assert result.exit_code == 1
    text = page.read_text()
    assert f"1 failure in {ROUNDS} rounds" in text
    assert {f"<td>{name}</td>" in text for name in ("v12", "v12_sound")} == {True}
    (kept,) = (tmp_path / "log.jsonl.failures").iterdir()
    assert f'href="{kept.as_uri()}"' in text
    assert "pte-stress soak --seconds" in text


def test_a_round_that_is_stopped_keeps_what_it_measured(soak, monkeypatch, tmp_path):
    result = start(soak, monkeypatch, tmp_path, Runs((0, False), (130, True)))
    assert "stopped" in result.output
    assert [(line["ok"], line["operations"]) for line in lines(tmp_path)] == [(True, 77), (False, 77)]
    assert Path(lines(tmp_path)[1]["failure"]).exists()
    assert result.exit_code == 130
    again = start(soak, monkeypatch, tmp_path, Runs((130, False)))
    assert [line["ok"] for line in lines(tmp_path)] == [True, False, True]
    assert "has 2 rounds: going on" in again.output


def test_what_a_lost_round_saved_is_not_taken_for_anothers(soak, monkeypatch, tmp_path):
    folder = tmp_path / "log.jsonl.failures"
    folder.mkdir()
    (folder / "round-0000000.json").write_text('{"of": "another seed"}')
    start(soak, monkeypatch, tmp_path, Runs((3, False)))
    assert json.loads((folder / "round-0000000.json").read_text())["status"] == 3


def test_a_full_disk_is_a_line(soak, monkeypatch, tmp_path):
    def full(path, mode, record):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(soak_log.Log, "_write", staticmethod(full))
    result = start(soak, monkeypatch, tmp_path, Runs())
    assert result.exit_code == 3
    assert "log.jsonl: No space left on device; earlier rounds are kept\n" in result.output


def test_a_run_that_does_not_end_leaves_nothing(monkeypatch):
    """Not even when it does not heed the signal that ends it."""
    monkeypatch.setattr(soak_round, "COMMAND", ["sh", "-c", "trap '' TERM; echo up; exec sleep 99", "sh"])
    monkeypatch.setattr(soak_round, "END", 0.5)
    cleaned = []
    monkeypatch.setattr(soak_round.leftovers, "clean", lambda: cleaned.append(1))
    assert soak_round.execute([], 2.0, soak_round.Stop()) == (None, "up\n", "")
    assert cleaned == [1]


def test_no_more_failures_are_kept_than_told(soak, monkeypatch, tmp_path):
    result = start(soak, monkeypatch, tmp_path, Runs(*[(1, True)] * 3), "--most-failures", "2")
    kept = sorted((tmp_path / "log.jsonl.failures").iterdir())
    assert [path.name for path in kept] == ["round-0000000.json", "round-0000001.json"]
    assert lines(tmp_path)[2]["failure"] is None
    assert "3 failures; the first 2 are kept" in result.output


@given(st.lists(st.tuples(st.sampled_from(["v12", "atomic"]), st.booleans()), max_size=60), st.integers(100, 2000))
def test_totals_outlive_the_logs_and_disk_is_bounded(tmp_path_factory, rounds, most):
    path = tmp_path_factory.mktemp("soak") / "log.jsonl"
    log = soak_log.Log(path, most)
    for number, (design, ok) in enumerate(rounds):
        log.append(record(number, design, ok))
        assert path.stat().st_size <= most + 300
    again = soak_log.Log(path, most)
    again.read()
    assert again.sums == log.sums
    assert again.rounds == len(rounds)
    assert again.failures == sum(not ok for _, ok in rounds)
    assert len(list(path.parent.iterdir())) <= 2


def test_another_file_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    for text in ("milk", "milk\n", '{"precious": 1}', '{"totals": 5}\n', '{"totals": {"a": {"rounds": "x"}}}\n'):
        path.write_text(text)
        with pytest.raises(UsageError, match="line 1, is no round"):
            soak_log.Log(path, 1000).read()
        assert path.read_text() == text


def test_bad_input(tmp_path):
    for arguments, message in (
        ([], "for how long?"),
        (["--seconds", "1", "--log", str(tmp_path / "no" / "log")], "no such folder"),
        (["--seconds", "1", "--log", str(tmp_path / "log"), "--designs", "v12x"], "did you mean v12"),
        (["--seconds", "1", "--log", ""], "no file"),
        (["--seconds", "1", "--log", "/dev/full"], "no file"),
        (["--seconds", "nan"], "--seconds nan: give a number"),
        (["--seconds", "1", "--most-mb", "inf"], "--most-mb inf: give a number"),
    ):
        result = CliRunner().invoke(main, ["soak", *arguments])
        assert (result.exit_code, result.output.count("\n")) == (2, 1)
        assert message in result.output


@given(st.sampled_from(designs.names()), st.integers(0, 2**32 - 1))
def test_a_round_is_what_run_accepts_and_its_seed_decides(name, seed):
    design = designs.get(name)
    drawn = soak_round.draw_round(design, name, seed, 3.0)
    random.seed()
    assert drawn == soak_round.draw_round(design, name, seed, 3.0)
    given_to_run = run.make_context("run", list(drawn)).params
    assert (given_to_run["design"], given_to_run["seed"], given_to_run["seconds"]) == (name, seed, 3.0)
    if given_to_run["mix"]:
        assert all(parse_mix(given_to_run["mix"], design).values())


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("echo early; exec sleep 99", 130),  # as a run that does not know yet what to do with the signal
        ("trap 'exit 130' TERM; echo early; while :; do sleep 0.01; done", 130),
        ("trap 'exit 3' TERM; echo early; while :; do sleep 0.01; done", 3),
    ],
)
def test_a_round_that_is_broken_off_is_no_failure_unless_it_says_so(monkeypatch, command, status):
    monkeypatch.setattr(soak_round, "COMMAND", ["sh", "-c", command, "sh"])
    stop = soak_round.Stop()
    timer = threading.Timer(0.5, lambda: setattr(stop, "asked", True))
    timer.start()
    assert soak_round.execute([], 99.0, stop) == (status, "early\n", "")
    timer.join()


def test_stopped_between_two_rounds(monkeypatch, tmp_path):
    """The signal comes before the run has been started: nothing is left running, and nothing failed."""
    monkeypatch.setattr(soak_round, "COMMAND", ["sleep"])
    began = soak_round.Stop.listen

    def at_once(stop):
        began(stop)
        stop.asked = True

    monkeypatch.setattr(soak_round.Stop, "listen", at_once)
    monkeypatch.setattr(soak_round.signal, "signal", lambda number, handler: None)
    result = CliRunner().invoke(main, ["soak", "--days", "3", "--log", str(tmp_path / "log"), "--designs", "v12_sound"])
    assert (result.exit_code, "stopped" in result.output, "FAILED" in result.output) == (130, True, False)


def test_two_soaks_on_one_log(tmp_path):
    log = soak_log.Log(tmp_path / "log", 1000)
    with log.alone():
        result = CliRunner().invoke(main, ["soak", "--seconds", "1", "--log", str(log.path)])
    assert (result.exit_code, "another soak writes to it" in result.output) == (2, True)
    with log.alone():
        pass


def test_a_log_is_never_without_its_totals(monkeypatch, tmp_path):
    """Whatever is broken off while a new log is begun: the totals are what they were."""
    path = tmp_path / "log"
    log = soak_log.Log(path, 200)
    monkeypatch.setattr(soak_log.os, "replace", lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        log.append(record(0, design="a" * 200))
    assert path.with_name("log.1").exists()
    again = soak_log.Log(path, 200)
    again.read()
    assert again.sums == log.sums


@pytest.mark.parametrize("arguments", [["--seconds", "-1"], ["--seconds", "x"], ["extra"], ["--log", "/tmp"], ["--no"]])
def test_what_click_refuses_is_a_line(arguments):
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("pte-stress: error: ")


def test_a_module_of_the_current_folder_is_not_run(monkeypatch, tmp_path):
    (tmp_path / "stress.py").write_text("print('this is not pte-stress')\n")
    monkeypatch.chdir(tmp_path)
    status, out, _ = soak_round.execute(["--help"], 60, soak_round.Stop())
    assert (status, out.splitlines()[0]) == (0, "Usage: pte-stress run [OPTIONS]")


def test_every_python_that_the_program_starts_ignores_the_current_folder():
    root = SCRIPT.parents[1]
    files = [path for name in ("stress", "shm_layout", "scripts", "benchmarks") for path in (root / name).rglob("*.py")]
    started = [text for path in files for text in re.findall(r"\[sys\.executable,.*", path.read_text())]
    assert len(started) >= 4
    assert [text for text in started if not text.startswith('[sys.executable, "-P", ')] == []


@pytest.mark.timeout(600)
def test_nobody_reads_the_output(tmp_path):
    command = [sys.executable, str(SCRIPT), "--seconds", "9", "--log", str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        error = process.stderr.read()
    assert (process.returncode, error) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_the_summary(tmp_path, number):
    command = [sys.executable, str(SCRIPT), "--days", "3", "--log", str(tmp_path / "log"), "--designs", "v12_sound"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert "round 0: v12_sound, seed" in process.stdout.read(30)
            process.send_signal(number)
            said = process.stdout.read()
        finally:
            process.kill()
    assert "stopped" in said
    assert "failures" in said
    assert process.returncode == 130
