"""Shards come back once each, with their result or their error, whatever is killed meanwhile."""

from __future__ import annotations

import importlib
import math
import operator
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import psutil
import pytest

from shm_layout.errors import MachineError, UsageError
from stress.cluster import apart as apart_from
from stress.cluster import connecting, shards
from stress.cluster.connecting import Cluster, connected
from stress.cluster.identity import differences, identity
from stress.cluster.sent import Sent, SentCall, make
from stress.cluster.shards import Shards
from stress.design import Design
from stress.resolve import resolve_design

pytest.importorskip("distributed")


SCRIPT = """
from factor import FACTOR

def times(number, plus):
    return [FACTOR * number + plus]
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with connected("local", 2) as made:
        yield made


def workers(cluster: Cluster) -> list[psutil.Process]:
    """The processes of the workers, which come anew when they are killed."""
    found: list[psutil.Process] = []
    while not found:
        with suppress(OSError, TimeoutError):
            found = [psutil.Process(pid) for pid in cluster.client.run(os.getpid).values()]
    return found


def apart(cluster: Cluster) -> list[psutil.Process]:
    """The processes that perform shards."""
    found = []
    for worker in workers(cluster):
        with suppress(psutil.NoSuchProcess):
            found += worker.children()
    return found


@pytest.mark.parametrize("again", [True, False])
def test_results_come_in_order(cluster: Cluster, again: bool) -> None:
    numbers = [5, 3, 3, 8, 1]
    some: Shards[int, int] = Shards(cluster, math.factorial, again=again)
    assert [(item, result()) for item, result in some.in_order(numbers)] == [(n, math.factorial(n)) for n in numbers]
    assert some.under_way == 0


def test_work_goes_on_when_workers_were_gone_for_a_moment(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = cycle([0, 0, 1])
    monkeypatch.setattr(Cluster, "slots", property(lambda self: next(counts)))
    some: Shards[int, int] = Shards(cluster, math.factorial)
    assert [item for item, _ in some.in_order(range(8))] == [*range(8)]


def test_a_result_may_be_none(cluster: Cluster) -> None:
    some: Shards[float, None] = Shards(cluster, time.sleep)
    assert [result() for _, result in some.in_order([0.0, 0.1])] == [None, None]


def test_shards_are_taken_as_they_come(cluster: Cluster) -> None:
    some: Shards[float, None] = Shards(cluster, time.sleep)
    assert [some.add(seconds) for seconds in (2.0, 0.1)] == [0, 1]
    came = [some.take(30.0), some.take(30.0)]
    assert [done.number for done in came if done is not None] == [1, 0]
    assert some.take(0.0) is None


def test_a_process_performs_one_shard_or_several(cluster: Cluster) -> None:
    def pids(again: bool) -> set[int]:
        some: Shards[int, int] = Shards(cluster, os.getsid, again=again)
        return {result() for _, result in some.in_order([0] * 8)}

    assert len(pids(again=False)) == 8
    assert len(pids(again=True)) <= 2
    assert not pids(again=True) & {worker.pid for worker in workers(cluster)}


def test_an_error_is_raised_where_the_result_is_asked_for(cluster: Cluster) -> None:
    some: Shards[str, object] = Shards(cluster, resolve_design)
    results = dict(some.in_order(["v12", "v21"]))
    with pytest.raises(UsageError, match="no design is called 'v21'"):
        results["v21"]()
    roots: Shards[int, float] = Shards(cluster, math.sqrt)
    ((_, result),) = roots.in_order([-1])
    with pytest.raises(RuntimeError, match="math domain error"):
        result()


def test_what_kills_its_process_each_time_is_given_up(cluster: Cluster) -> None:
    some: Shards[int, None] = Shards(cluster, signal.raise_signal)
    results = list(some.in_order([signal.SIGKILL, signal.SIGCONT]))
    assert results[1][1]() is None
    with pytest.raises(MachineError, match="killed each time"):
        results[0][1]()


@pytest.mark.timeout(300)
def test_kills_lose_nothing_and_count_nothing_twice(cluster: Cluster) -> None:
    """Twenty kills of a worker or of the process beside it, at random."""
    chance = random.Random(7)
    some: Shards[float, None] = Shards(cluster, time.sleep)
    given: list[float] = []
    came, kills = [], 0
    next_kill, end = time.monotonic() + 0.5, time.monotonic() + 60
    while (more := kills < 20 and time.monotonic() < end) or some.under_way:
        if more and some.under_way < 6:
            given.append(0.2 + len(given) / 10_000)
            some.add(given[-1])
        if (done := some.take(0.05)) is not None:
            done.result()
            came.append(done.item)
        if more and time.monotonic() > next_kill:
            if there := workers(cluster) if kills % 2 else apart(cluster):
                with suppress(psutil.NoSuchProcess):
                    chance.choice(there).kill()
                kills += 1
            next_kill = time.monotonic() + chance.uniform(0.2, 0.8)
    assert sorted(came) == given
    assert kills > 0


def test_a_worker_of_another_version_is_refused(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    other = {**identity(), "numba": "0.1"}
    assert differences(other) == f"numba 0.1, here {identity()['numba']}"
    monkeypatch.setattr(shards, "identity", lambda: other)
    some: Shards[int, int] = Shards(cluster, math.factorial)
    ((_, result),) = some.in_order([3])
    with pytest.raises(UsageError, match=r"the machine of a worker differs: numba .*, here"):
        result()
    monkeypatch.setattr(connecting, "differences", lambda theirs: "Python 3.1, here 3.2")
    with pytest.raises(UsageError, match=r"worker tcp://.* differs: Python 3.1, here 3.2; install the same"):
        Cluster(cluster.address, "it")


def test_a_worker_that_cannot_run_this_program_is_refused_when_it_comes(cluster: Cluster, tmp_path: Path) -> None:
    """In the place of the package it finds one that does not import; it has come when others were at work."""
    (tmp_path / "stress").mkdir()
    (tmp_path / "stress/__init__.py").write_text("raise ImportError('not installed here')\n")
    quiet = subprocess.DEVNULL
    worker = subprocess.Popen(
        [sys.executable, "-P", "-m", "distributed.cli.dask_worker", cluster.address, "--no-dashboard", "--no-nanny"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=quiet,
        stderr=quiet,
    )

    def wait_for_it() -> None:
        while worker.poll() is None:
            assert cluster.slots > 0
            time.sleep(0.1)

    try:
        with pytest.raises(UsageError, match=r"cannot run pte-stress: .*not installed here.*; install it there, too"):
            wait_for_it()
    finally:
        worker.terminate()
        worker.wait()
    while len(cluster.client.nthreads()) > 2:
        time.sleep(0.1)


def test_processes_and_files_of_a_cluster_end_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    with connected("local", 1) as cluster:
        some: Shards[float, None] = Shards(cluster, time.sleep)
        some.add(60.0)
        while not apart(cluster):
            time.sleep(0.1)
        assert [*tmp_path.iterdir()]
        started = psutil.Process().children(recursive=True)
    _, left = psutil.wait_procs([process for process in started if process.pid not in before], timeout=30)
    assert not [process for process in left if "resource_tracker" not in " ".join(process.cmdline())]
    assert [*tmp_path.iterdir()] == []


def test_a_design_goes_with_the_files_that_it_imported(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside_mine.py").write_text("from stress.designs import get\nBASE = get('v12_sound')\n")
    (tmp_path / "mine.py").write_text("from beside_mine import BASE\nMINE = BASE.edit('x', 'y', name='mine')\n")
    (tmp_path / "other.py").write_text("raise SystemExit\n")
    there = tmp_path / ".venv/lib/site-packages"  # an environment often lies beside a design, and is no part of it
    there.mkdir(parents=True)
    (there / "installed_there.py").write_text("")
    monkeypatch.syspath_prepend(there)
    importlib.import_module("installed_there")
    name = f"{tmp_path}/mine.py:MINE"
    resolve_design(name)
    sent = Sent.of(name)
    assert (sent.name, set(sent.files)) == ("mine.py:MINE", {"mine.py", "beside_mine.py"})
    assert Sent.of("v12") == Sent("v12")
    resolved: Shards[Sent, Design] = Shards(cluster, operator.methodcaller("resolve"), again=False)
    assert [result().name for _, result in resolved.in_order([sent, Sent("v12")])] == ["mine", "v12"]


def test_a_process_that_was_killed_before_it_had_a_shard_has_died(tmp_path: Path) -> None:
    process = apart_from._Process(str(tmp_path))
    process._process.kill()
    process._process.wait()
    with pytest.raises(apart_from.Died):
        process.perform(bytes(1 << 20))
    process.end()


def test_a_function_of_a_script_is_called_there(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once more with another neighbour, as a script that was edited between two runs has it."""
    (tmp_path / "times_script.py").write_text(SCRIPT)
    monkeypatch.syspath_prepend(tmp_path)
    for factor in (3, 5):
        (tmp_path / "factor.py").write_text(f"FACTOR = {factor}")
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        for name in ("factor", "times_script"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        times = importlib.import_module("times_script").times
        calls = [SentCall.of(times, number, 1) for number in range(3)]
        came = [result() for _, result in Shards(cluster, make).in_order(calls)]
        assert came == [[factor * number + 1] for number in range(3)]
