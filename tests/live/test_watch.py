"""Watching running processes."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner
from processes import wait_for

from shm_layout.errors import UsageError
from stress.commands.live import live
from stress.commands.live_watch_report import prometheus_text, sample_line, sum_line, watch_sentence, watch_summary
from stress.live.reading.machine import cgroup_of, page_size
from stress.live.reading.process import Process, ProcessEnded, parse_stat
from stress.live.watch import Sample, Watch, take

TOUCH_MORE = """
import threading, time
keep = []
def grow():
    while True:
        keep.append(bytearray(1 << 16))
        time.sleep(0.002)
threading.Thread(target=grow, daemon=True).start()
"""


def rest_of(process):
    """What a process still prints until it ends; communicate() would lose what readline() read ahead."""
    out, err = process.stdout.read(), process.stderr.read()
    process.wait(60)
    return out, err


def sample(**changes):
    usual = {
        "at": 0.5,
        "pid": 7,
        "name": "x",
        "vmrss": 100,
        "stat": 90,
        "walk": 100,
        "moved": 0,
        "vmrss_us": 1.0,
        "walk_us": 9.0,
        "source": "smaps_rollup",
    }
    return Sample(**usual | changes)


@pytest.mark.parametrize(
    ("figure", "walk", "moved", "off"),
    [
        (100, 100, 0, 0),
        (90, 100, 0, -10),
        (107, 100, 0, 7),
        (105, 110, 10, 0),
        (99, 110, 10, -1),
        (111, 110, 10, 1),
        (95, 90, -10, 0),
        (101, 90, -10, 1),
        (89, 90, -10, -1),
    ],
)
def test_an_error_is_what_lies_outside_of_both_walks(figure, walk, moved, off):
    assert sample(walk=walk, moved=moved).off(figure) == off


def test_a_quiet_process_is_seen_exactly_by_the_walk(start_python):
    child = psutil.Process(start_python("keep = bytearray(1 << 20)").pid)
    wait_for(lambda: child.status() == psutil.STATUS_SLEEPING)
    watch = Watch([child.pid])
    for taken in watch.run(0.01, 3, pytest.fail):
        (one,) = taken
        assert one.moved == 0
        assert one.walk > 256
        assert one.walk_us > 0 < one.vmrss_us
    assert len(watch.samples[one.pid]) == 3


def test_a_busy_process_moves(start_python):
    watch = Watch([start_python(TOUCH_MORE).pid])
    walks = (taken[0].walk for taken in watch.run(0.05, 400, pytest.fail))
    first = next(walks)
    assert any(walk > first + 16 for walk in walks)


def test_json_lines(run_live, start_python):
    pids = [start_python("").pid for _ in range(2)]
    status, out, err = run_live("--pid", pids[0], "--pid", pids[1], "--count", 2, "--interval", 0.01, "--json")
    assert (status, err) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["pid"] for line in lines] == pids * 2
    for line in lines:
        assert line["vmrss_pages"] - line["walk_pages"] == line["error_pages"]
        assert line["walk_us"] > 0


def test_the_last_sample_of_a_pid_that_ends_is_kept(start_live, start_python):
    child, other = start_python(""), start_python("")
    live = start_live("--pid", child.pid, "--pid", other.pid, "--interval", 0.05, "--count", 12, "--json")
    first = json.loads(live.stdout.readline())
    child.kill()
    child.wait()
    out, err = rest_of(live)
    assert live.returncode == 0
    assert first["pid"] == child.pid
    assert f"pid {child.pid}" in err
    assert "has ended; its last sample, number" in err
    assert len(err.splitlines()) == 1
    assert [json.loads(line)["pid"] for line in out.splitlines()].count(other.pid) == 12


def test_watching_ends_with_the_last_process(start_live, start_python):
    child = start_python("")
    live = start_live("--pid", child.pid, "--interval", 0.05)
    head, units, first = (live.stdout.readline() for _ in range(3))
    child.kill()
    child.wait()
    out, err = rest_of(live)
    assert live.returncode == 0
    assert "VmRSS" in head
    assert "pages" in units
    assert str(child.pid) in first
    assert "VmRSS off, worst" in out
    assert "has ended" in err


def test_children_are_watched_with_their_parent(start_python):
    parent = start_python("""
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE)
        child.stdout.readline()
    """)
    watch = Watch([parent.pid], tree=True)
    (taken,) = watch.run(1.0, 1, pytest.fail)
    assert taken[0].pid == parent.pid
    assert len(taken) == 2
    (alone,) = Watch([parent.pid]).run(1.0, 1, pytest.fail)
    assert len(alone) == 1
    assert f"{sum(s.walk for s in taken)}" in sum_line(taken, page_size())


def test_interrupted_it_prints_what_it_has(start_live, start_python):
    live = start_live("--pid", start_python("").pid, "--interval", 0.05)
    for _ in range(3):
        live.stdout.readline()
    live.send_signal(signal.SIGINT)
    out, err = rest_of(live)
    assert (live.returncode, err) == (130, "\npte-stress: interrupted\n")
    assert "VmRSS off, worst" in out


def test_ended_before_the_first_sample(start_python):
    child = start_python("")
    watch = Watch([child.pid])
    child.kill()
    child.wait()
    notes = []
    assert list(watch.run(0.01, None, notes.append)) == []
    assert "no sample of it was taken" in notes[0]
    with pytest.raises(UsageError, match="no process has pid"):
        Watch([child.pid])


def test_samples_and_summary_fit_their_lines():
    assert " -10 " in sample_line(sample(), 4096)
    assert "smaps_rollup" in watch_summary({7: [sample(), sample(vmrss=103)]}, "plain", 4096)


def test_a_process_can_watch_itself():
    me = Process(os.getpid())
    taken = [take(me, time.monotonic()) for _ in range(20)]
    assert min(one.walk for one in taken) > 256


DEAD_LEADER = """
import ctypes, threading, time
keep = bytearray(8 << 20)
threading.Thread(target=time.sleep, args=(600,)).start()
print("ready", flush=True)
input()
ctypes.CDLL(None).pthread_exit(None)
"""


def end_main_thread(child):
    child.stdin.write("\n")
    child.stdin.flush()
    wait_for(lambda: parse_stat(Path(f"/proc/{child.pid}/stat").read_bytes())[0] == "Z")


@pytest.fixture
def leader():
    """A process of two threads, whose main one `end_main_thread` ends."""
    child = subprocess.Popen(
        [sys.executable, "-c", DEAD_LEADER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "ready\n"
    yield child
    child.kill()
    child.communicate()


@pytest.fixture
def dead_leader(leader):
    """A process whose main thread has ended while another one lives."""
    end_main_thread(leader)
    return leader


def test_a_process_without_its_main_thread_is_read_through_another(run_live, dead_leader):
    status, out, err = run_live("--pid", dead_leader.pid, "--count", 2, "--interval", 0.01, "--json")
    assert status == 0
    assert f"pid {dead_leader.pid} (python" in err
    assert "its main thread has ended; read through thread" in err
    assert len(err.splitlines()) == 1
    for line in map(json.loads, out.splitlines()):
        assert line["walk_pages"] * page_size() > 8 << 20
        assert line["vmrss_pages"] - line["walk_pages"] == line["error_pages"]
        assert line["cgroup"] == cgroup_of()


def test_a_main_thread_that_ends_while_it_is_watched(leader):
    process = Process(leader.pid)
    before = take(process, 0.0)
    assert process.thread is None
    end_main_thread(leader)
    behind = take(process, 0.0)
    assert behind.walk * page_size() > 8 << 20 < before.walk * page_size()
    assert (behind.cgroup, behind.charged is None) == (before.cgroup, before.charged is None)
    assert process.thread is not None


def test_all_threads_ended_is_the_end(dead_leader):
    process = Process(dead_leader.pid)
    assert process.thread is not None
    assert process.alive()
    dead_leader.kill()
    dead_leader.wait()
    assert not process.alive()
    for read in (process.stat, process.statm, process.status):
        with pytest.raises(ProcessEnded):
            read()


def test_csv_has_a_head_and_a_line_a_sample(run_live, start_python):
    child = start_python("keep = bytearray(1 << 20)")
    status, out, err = run_live("--pid", child.pid, "--count", 3, "--interval", 0.01, "--csv")
    assert (status, err) == (0, "")
    rows = list(csv.DictReader(out.splitlines()))
    assert [int(row["pid"]) for row in rows] == [child.pid] * 3
    for row in rows:
        assert int(row["vmrss_pages"]) - int(row["walk_pages"]) == int(row["error_pages"])
        assert int(row["peak_pages"]) >= int(row["vmrss_pages"])
        assert float(row["pss_kib"]) > 1024


def test_prometheus_has_the_newest_samples_in_bytes(run_live, start_python, tmp_path):
    child, file = start_python(""), tmp_path / "live.prom"
    status, out, _ = run_live("--pid", child.pid, "--count", 2, "--interval", 0.01, "--json", "--prometheus", file)
    assert status == 0
    last = json.loads(out.splitlines()[-1])
    found = dict(line.rsplit(" ", 1) for line in file.read_text().splitlines() if not line.startswith("#"))
    labels = f'pid="{child.pid}",name="{last["name"]}"'
    for figure, key in (("VmRSS", "vmrss_pages"), ("stat", "stat_pages"), ("walk", "walk_pages")):
        size = int(found[f'pte_stress_memory_bytes{{{labels},figure="{figure}"}}'])
        assert size == last[key] * page_size()
    assert int(found[f'pte_stress_error_bytes{{{labels},figure="stat"}}']) == last["stat_error_pages"] * page_size()
    assert list(tmp_path.iterdir()) == [file]


def test_names_are_escaped_for_prometheus():
    text = prometheus_text([sample(name='a"b\\c')], 4096)
    assert 'name="a\\"b\\\\c"' in text
    assert text.endswith("\n")


def test_what_lies_beside_is_shown_where_it_is_not_0():
    one = sample(kib={"Pss": 2048, "Private_Clean": 512, "Private_Dirty": 512, "LazyFree": 0, "Private_Hugetlb": 4096})
    text = watch_summary({7: [one]}, "plain", 4096)
    for words in ("Pss", "2.0", "Private", "1.0", "HugetlbPages", "4.0"):
        assert words in text
    assert "LazyFree" not in text
    assert "Swap" not in text


@pytest.mark.parametrize(
    ("vmrss", "stat", "sentence"),
    [
        (100, 100, "VmRSS and stat were exact in 2 samples"),
        (100, 90, "VmRSS was exact in 2 samples"),
        (103, 90, "VmRSS was off by up to 3 pages, 0.0 MiB, field 24 of stat by 10 pages"),
    ],
)
def test_the_last_line_says_what_to_read(vmrss, stat, sentence):
    assert sentence in watch_sentence({7: [sample(stat=100), sample(vmrss=vmrss, stat=stat)]}, 4096)


def test_fail_above_is_a_status(monkeypatch):
    monkeypatch.setattr(Watch, "run", lambda self, *_: iter([self.samples.setdefault(7, [sample(vmrss=104)])]))
    arguments = ["--pid", str(os.getpid()), "--count", "1", "--json", "--fail-above"]
    assert CliRunner().invoke(live, [*arguments, "4"]).exit_code == 0
    assert CliRunner().invoke(live, [*arguments, "3"]).exit_code == 1


def test_until_exit_ends_with_the_named_process_not_its_children(start_python):
    parent = start_python("""
        import os, time
        if not os.fork():
            time.sleep(600)
    """)
    (child,) = psutil.Process(parent.pid).children()
    watch = Watch([parent.pid], tree=True, until_exit=True)
    notes = []
    looks = watch.run(30.0, None, notes.append)
    assert len(next(looks)) == 2
    parent.kill()
    parent.wait()
    assert [one.pid for taken in looks for one in taken] == [child.pid]
    assert child.is_running()
    child.kill()


def test_a_picture_is_drawn(run_live, start_python, tmp_path):
    picture = tmp_path / "live.svg"
    status, out, err = run_live("--pid", start_python("").pid, "--count", 2, "--interval", 0.01, "--plot", picture)
    assert (status, err) == (0, f"drawn in {picture}\n")
    assert "resident size" in picture.read_text()
    assert "VmRSS" in out


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("--json and --csv exclude each other", ["--json", "--csv"]),
        ("--until-exit and --count exclude each other", ["--until-exit", "--count", "1"]),
        ("cannot write in /proc", ["--count", "1", "--prometheus", "/proc/x"]),
    ],
)
def test_usage_of_watching(refused, words, options):
    refused(2, words, "--pid", os.getpid(), *options)
