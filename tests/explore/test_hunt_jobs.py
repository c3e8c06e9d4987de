"""A hunt by several processes: what one of them finds is looked at, and noted, by the one that started them."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest
import rule_breakers
from click.testing import CliRunner
from hypothesis import strategies as st
from hypothesis.database import InMemoryExampleDatabase

from shm_layout.errors import MachineError, PteStressError, UsageError
from stress import designs
from stress.cli import main
from stress.design import Design
from stress.explore import explore
from stress.explore.hunt import jobs
from stress.explore.hunt.hunt import Hunt
from stress.explore.hunt.mends import mends_of
from stress.explore.hunt.workloads import batches_of, kinds_of, workloads
from stress.system.told_error import ToldError
from stress.workload import Workload


def hunt(design: Design, seconds: float = 4, count: int = 2, *, first: bool = False) -> Hunt:
    strategy = workloads(kinds_of(design), "64", batches=batches_of(design), machine=design.machine)
    made = Hunt(
        design,
        strategy,
        seconds=seconds,
        seed_=3,
        first=first,
        mends=mends_of(design),
        jobs=count,
        database=InMemoryExampleDatabase(),
    )
    made.run()
    return made


def test_finds_are_looked_at_here() -> None:
    found = hunt(designs.get("v12"), 8)
    assert found.workloads > 1
    assert {find.violation.check for find in found.distinct()} >= {"rss_exact"}
    for find in found.distinct():
        assert explore(find.design, find.workload).violation(find.violation.check) is not None
    assert not multiprocessing.active_children()


def test_the_first_find_ends_all() -> None:
    begin = time.monotonic()
    found = hunt(designs.get("v12"), 60, first=True)
    assert found.distinct()
    assert time.monotonic() - begin < 55
    assert not multiprocessing.active_children()


def test_a_sound_design_comes_out_sound_and_the_counts_are_of_all() -> None:
    found = hunt(designs.get("page_table_lock"), 4, 3)
    assert not found.distinct()
    assert found.workloads > 1
    assert found.coverage("64").line() is not None


def test_a_process_that_dies_takes_nothing_along(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = jobs.Children.listen
    killed: list[int] = []

    def listen(children: jobs.Children, hunt: jobs.Hunter) -> Workload | None:
        if not killed and children.total.workloads:
            pid = children._processes[0].pid
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
        return whole(children, hunt)

    monkeypatch.setattr(jobs.Children, "listen", listen)
    found = hunt(designs.get("v12"), 8)
    assert killed
    assert found.distinct()
    assert found.elapsed > 6


def test_an_error_of_a_process_is_raised_here() -> None:
    torn = rule_breakers.design("torn", t=(rule_breakers.add_in_one,))
    strategy = st.just(Workload.parse("t 0 | t 0"))
    made = Hunt(torn, strategy, seconds=20, seed_=1, jobs=2, database=InMemoryExampleDatabase())
    with pytest.raises(UsageError, match=r"step add_in_one .* makes 2 accesses"):
        made.run()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(("status", "kind"), [(2, UsageError), (1, PteStressError), (None, RuntimeError)])
def test_what_ended_a_process_has_its_exit_status(status: int | None, kind: type[Exception]) -> None:
    assert type(ToldError(status, "why").error()) is kind


def test_what_is_found_late_is_told_before_it_is_made_smaller() -> None:
    design = rule_breakers.after_rmap("endless", rule_breakers.endless_later)
    strategy = st.just(Workload.parse("fault 0 w; zap 0 | fault 1 w; zap 1"))
    told: set[str] = set()
    for seconds in (1, 4, 16):  # on a busy machine the first is over before a process has begun
        if not told:
            found = Hunt(design, strategy, seconds=seconds, seed_=1, jobs=2, database=InMemoryExampleDatabase())
            found.run()
            told = {find.violation.check for find in found.distinct()}
    assert told == {"progress"}


def test_ctrl_c_keeps_what_was_found() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(6, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        found = hunt(designs.get("v12"), 60)
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)
    assert found.interrupted
    assert found.elapsed < 40
    assert not multiprocessing.active_children()


def test_the_command_hunts_by_as_many_processes_as_it_is_told() -> None:
    done = CliRunner().invoke(main, ["hunt", "v12", "--seconds", "30", "--first", "--jobs", "2", "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["violations"]
    assert not multiprocessing.active_children()


def test_a_design_in_a_file_is_hunted(tmp_path: Path) -> None:
    from stress.resolve import resolve_design

    (tmp_path / "mine.py").write_text(
        "from stress.designs import get\n"
        "from stress.kernel import rmap\n"
        'MINE = get("v12_sound").edit("no_rmap", "none", fault=lambda p: p.drop(rmap.page_add_anon_rmap))\n'
    )
    found = hunt(resolve_design(f"{tmp_path / 'mine.py'}:MINE"), 30, first=True)
    assert {find.violation.check for find in found.distinct()}


class Going:
    """A team that finds one thing, and then is gone."""

    late = 1.0
    at_work = True
    one_ended = False
    total = jobs.Progress(workloads=7)

    def __init__(self) -> None:
        self.found = [Workload.parse("fault 0 w")]

    def listen(self, hunt: Hunt) -> Workload | None:
        if not self.found:
            raise MachineError("no scheduler answers there")
        return self.found.pop()

    def end(self) -> None:
        self.at_work = False


def test_a_cluster_that_goes_away_leaves_what_was_found() -> None:
    found = Hunt(designs.get("v12"), st.nothing(), seconds=60, seed_=1, team=Going, database=InMemoryExampleDatabase())
    found.run()
    assert {find.violation.check for find in found.distinct()} >= {"rss_exact"}
    assert found.workloads == 7
    assert str(found.ended_by) == "no scheduler answers there"
