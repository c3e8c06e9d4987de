"""Watching running processes."""

import json
import os
import signal
import time

import psutil
import pytest
from processes import wait_for

from shm_layout.errors import UsageError
from stress.commands.live_report import sample_line, sum_line, watch_summary
from stress.live.reading.process import Process
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


def test_all_have_ended(start_live, start_python):
    child = start_python("")
    live = start_live("--pid", child.pid, "--interval", 0.05)
    head, first = live.stdout.readline(), live.stdout.readline()
    child.kill()
    child.wait()
    out, err = rest_of(live)
    assert live.returncode == 0
    assert "VmRSS" in head
    assert str(child.pid) in first
    assert "VmRSS worst" in out
    assert "has ended" in err


def test_tree(start_python):
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
    assert f"{sum(s.walk for s in taken)}" in sum_line(taken)


def test_interrupted_it_prints_what_it_has(start_live, start_python):
    live = start_live("--pid", start_python("").pid, "--interval", 0.05)
    for _ in range(3):
        live.stdout.readline()
    live.send_signal(signal.SIGINT)
    out, err = rest_of(live)
    assert (live.returncode, err) == (130, "\npte-stress: interrupted\n")
    assert "VmRSS worst" in out


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


def test_text():
    assert " -10 " in sample_line(sample())
    assert "smaps_rollup" in watch_summary({7: [sample(), sample(vmrss=103)]}, "plain")


def test_it_watches_itself():
    me = Process(os.getpid())
    taken = [take(me, time.monotonic()) for _ in range(20)]
    assert min(one.walk for one in taken) > 256
