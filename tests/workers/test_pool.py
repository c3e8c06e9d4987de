"""Worker processes on one segment: their life, their commands, what is measured."""

import os
import re
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import psutil
import pytest
from broken_designs import check_never_ends, divides_by_zero, keeps_mmap_sem, never_ends, own_step_ends, raises
from processes import ended, wait_for

from shm_layout.errors import MachineError, UsageError
from shm_layout.machine import Machine
from shm_layout.segment import Segment
from stress import designs
from stress.kernel.memory import next_pte
from stress.step import NEXT, step
from stress.workers.errors import WorkerDied, how_it_ended
from stress.workers.loop import block
from stress.workers.pool import Pool
from stress.workers.records import Call
from stress.workers.server import client

MIX = {"fault": 6, "zap": 1, "statm": 1}


def test_workers_are_processes_on_one_segment(make_pool):
    pool = make_pool("v12_sound", 3)
    assert len({*pool.pids, os.getpid()}) == 4
    name = f"/dev/shm{pool.segment.name}"
    for pid in pool.pids:
        maps = [m for m in psutil.Process(pid).memory_maps(grouped=False) if m.path == name]
        assert len(maps) == 1
    for pid, cpu in zip(pool.pids, pool.cpus, strict=True):
        assert psutil.Process(pid).cpu_affinity() == [cpu]
    result = pool.run(MIX, seed=1, operations=30_000)
    assert result.operations == 30_000
    assert (pool.column(block.FINISHED) == 10_000).all()
    assert set(result.ops) == set(MIX)
    usage = pool.usage()
    assert [u.pid for u in usage] == list(pool.pids)
    assert all(u.uss > 0 for u in usage)


def test_same_seed_same_operations(make_pool):
    pool = make_pool("v12_sound", 1)
    first = pool.run(MIX, seed=5, operations=10_000)
    memory = pool.memory[: pool.layout.words].copy()
    pool.reset()
    assert pool.truth(0).resident == 0  # another command between: the seed alone decides
    second = pool.run(MIX, seed=5, operations=10_000)
    assert dict(first.ops) == dict(second.ops)
    assert (memory == pool.memory[: pool.layout.words]).all()
    pool.reset()
    other = pool.run(MIX, seed=6, operations=10_000)
    assert dict(other.ops) != dict(first.ops)


def test_a_run_ends_after_its_time_and_all_is_at_rest(make_pool):
    pool = make_pool("v12_sound")
    pool.start(MIX, seed=2)
    assert pool.wait(0.2)
    progress = pool.progress()
    assert progress.seconds >= 0.2
    while not sum((progress := pool.progress()).ops.values()):  # a busy machine may not have let any worker begin
        pool.wait(0.2)
    result = pool.finish()
    assert result.at_rest
    assert result.operations >= sum(progress.ops.values())
    assert result.reads == result.ops["statm"]
    assert sum(result.faults.values()) <= result.ops["fault"]
    assert (pool.column(block.REGISTERS_AT + 8, 8) == 0).all()
    assert not pool.running()


def test_workers_in_areas_of_their_own_meet_nobody(make_pool):
    pool = make_pool("v12_sound", 2)
    pool.start_sweep(rounds=3)
    pool.wait(60)
    result = pool.finish()
    assert result.ops["fault"] == 3 * pool.machine.anon
    assert result.faults == {"anon write": 3 * pool.machine.anon}
    assert pool.truth(0).resident == 0
    pool.run({"fault": 1}, seed=1, operations=4_000, distinct=True, writes=1.0)
    half = pool.machine.ptes // 2
    accounts = pool.column(block.ACCOUNT, 1)[:, 0] - 3 * pool.machine.anon // 2
    assert accounts.max() <= half
    assert pool.truth(0).resident == accounts.sum()


def test_calls_are_performed_in_order_and_show_what_reads_show(make_pool):
    pool = make_pool("v12_sound")
    shown = pool.perform(
        {
            0: [
                Call("fault", 3, write=True),
                Call("statm"),
                Call("zap", 0, 8),
                Call("statm", arg=1),
                Call("stat", arg=4),
            ],
            1: [Call("fault", 33)],
        }
    )
    assert (shown[0][1].resident, shown[0][1].anon) in {(1, 1), (2, 1)}  # worker 1 maps a page of the file
    assert (shown[0][3].resident, shown[0][3].anon) in {(0, 0), (1, 0)}
    assert shown[0][4].resident is None  # nobody uses mm 3
    assert shown[0][0].resident is None
    assert pool.read(0).resident == pool.truth(0).resident == 1


@pytest.mark.parametrize(
    "call",
    [
        Call("swap_out"),
        Call("fault", -1),
        Call("fault", 40),
        Call("zap", 3, 3),
        Call("zap", 3, 41),
        Call("statm", arg=-1),
        Call("statm", arg=6),
    ],
)
def test_a_call_that_the_machine_has_no_place_for_is_refused(make_pool, call):
    pool = make_pool("v12_sound", 1)
    with pytest.raises(ValueError, match=call.name):
        pool.perform({0: [call]})


def test_a_mix_that_the_pool_was_not_made_for_is_refused(make_pool):
    pool = make_pool("v12_sound", 1)
    with pytest.raises(ValueError, match="swap_out"):
        pool.start({"fault": 1, "swap_out": 1}, seed=1)
    with pytest.raises(UsageError, match="did you mean"):
        pool.start({"falt": 1}, seed=1)
    with pytest.raises(ValueError, match="an end"):
        pool.run(MIX, seed=1)


def test_a_killed_worker_is_named_with_its_operation(make_pool):
    pool = make_pool("v12_sound", 3)
    pids = pool.pids
    pool.start({"fault": 1}, seed=1)
    os.kill(pids[1], signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(WorkerDied) as death:
        pool.wait(60)
    assert time.monotonic() - began < 30  # not the 60 s; the figure itself is a matter of benchmarks
    assert (death.value.worker, death.value.pid, death.value.exit_status) == (1, pids[1], 3)
    assert "SIGKILL" in str(death.value)
    assert "in fault" in str(death.value) or "between" in str(death.value)
    name = pool.segment.name
    pool.close()
    assert ended(pids)
    with pytest.raises(UsageError, match="no segment"):
        Segment.attach(name)


@pytest.mark.parametrize("ask", [lambda pool: pool.usage(), lambda pool: pool.start(MIX, seed=1)])
def test_a_worker_that_died_unseen_is_named_by_whatever_asks_next(make_pool, ask):
    pool = make_pool("v12_sound", 2)
    os.kill(pool.pids[0], signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(pool.pids[0]))  # a zombie has memory and times of its own: none
    with pytest.raises(WorkerDied, match=f"pid {pool.pids[0]}"):
        ask(pool)


def test_a_read_that_never_ends_is_told(make_pool, monkeypatch):
    """A list of tasks that leads back into itself, as a broken clone would leave it."""
    monkeypatch.setattr("stress.workers.crew.STUCK", 0.5)
    pool = make_pool("v12_sound", 2, operations=("fault", "statm"))
    tasks = pool.layout.regions["task_struct"]
    last = 0
    while following := int(pool.memory[tasks.index(last, "next")]):
        last = following - 1
    pool.memory[tasks.index(last, "next")] = 1
    broken = {v.name: v.detail for v in pool.verdicts() if not v.ok}
    assert "nothing went on: worker 0 in statm" in broken["progress"]
    assert not any("None" in detail for detail in broken.values())


@pytest.mark.parametrize(
    ("design", "says"),
    [
        (raises(), r"a step or check raised ValueError: no reason \(worker \d, in statm, mm 0, in step raise_error\)"),
        (divides_by_zero(), r"a step or check raised ZeroDivisionError: .* \(worker 0, between two operations\)"),
    ],
    ids=["step", "check"],
)
def test_what_the_users_own_code_raises_is_told(make_pool, capfd, design, says):
    pool = make_pool(design, 2, operations=("fault", "statm"))

    def use():
        pool.run({"fault": 1, "statm": 1}, seed=1, operations=100)
        return pool.verdicts()

    with pytest.raises(UsageError, match=says):
        use()
    assert capfd.readouterr() == ("", "")
    again = make_pool("v12_sound", 2, operations=("fault", "statm"))  # of the same server
    assert again.run({"fault": 1}, seed=1, operations=100).operations == 100


@pytest.mark.parametrize("answers", [0, 1])
def test_an_exchange_that_is_interrupted_ends_the_server(make_pool, monkeypatch, answers):
    """An answer that nobody has read would be taken for that to the next request."""
    with client.ForkServer() as server:
        receive = server.receive
        left = [receive] * answers

        def interrupted():
            if not left:
                raise KeyboardInterrupt
            return left.pop()()

        monkeypatch.setattr(server, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Pool(designs.get("v12_sound"), Machine(cpus=2, mms=1, anon=8, frames=16), 2, server=server)
        assert not server.lives()
        with pytest.raises(MachineError, match="fork server"):
            server.load(client.code_of(designs.get("v12_sound"), "64", ("fault",)))


def test_workers_end_with_their_server(make_pool):
    pool = make_pool("v12_sound", 2, own_server=True)
    pool.start(MIX, seed=1)
    os.kill(pool._server.pid, signal.SIGKILL)
    with pytest.raises(MachineError, match="fork server"):
        pool.wait(60)
    pids = pool.pids
    pool.close()
    assert ended(pids)


def test_workers_that_wait_for_ever_are_named(make_pool, monkeypatch):
    monkeypatch.setattr("stress.workers.crew.STUCK", 1.0)
    pool = make_pool(keeps_mmap_sem(), operations=("fault", "zap"))
    pool.start({"fault": 6, "zap": 1}, seed=4)
    assert not pool.wait(60)
    result = pool.finish()
    assert not result.at_rest
    assert "worker 0 in" in pool.stuck
    assert "waiting in down_" in pool.stuck
    broken = [v for v in pool.verdicts() if not v.ok]
    assert [v.name for v in broken] == ["progress"]
    monkeypatch.undo()
    pool.reset()
    assert pool.run({"fault": 1}, seed=1, operations=1_000).operations == 1_000  # the workers live on
    assert all(v.ok for v in pool.verdicts())


@pytest.fixture
def soon(monkeypatch):
    """A step is said never to end after a fraction of a second of a CPU."""
    monkeypatch.setattr("stress.workers.crew.STEP", 0.3)


@pytest.mark.usefixtures("soon")
def test_a_step_that_never_ends_is_named_and_its_operation(make_pool):
    pool = make_pool(never_ends(), operations=("fault", "statm"))
    pool.start({"fault": 6, "statm": 1}, seed=4)
    assert not pool.wait(60)
    result = pool.finish()
    assert not result.at_rest
    broken = {v.name: v.detail for v in pool.verdicts() if not v.ok}
    assert list(broken) == ["progress"]
    where = r"worker \d in fault of page \d+, mm 0, in step turns_round, which does not end"
    assert re.search(where, broken["progress"])
    pids = pool.pids
    pool.close()
    assert ended(pids)


@pytest.mark.usefixtures("soon")
def test_one_worker_in_a_step_that_never_ends_is_named_while_others_go_on(make_pool):
    pool = make_pool(never_ends(), operations=("fault", "statm"))
    pool.perform({1: [Call("statm")]})
    pool.start({"statm": 1}, seed=1)
    assert pool.wait(1)
    pool.finish()
    shown = pool.perform({0: [Call("fault", 3, write=True)], 1: [Call("statm")]})
    assert shown[1][0].resident is not None
    assert "worker 0 in fault of page 3, mm 0, in step turns_round" in pool.stuck


@pytest.mark.usefixtures("soon")
def test_a_check_that_never_ends_is_named(make_pool):
    pool = make_pool(check_never_ends(), operations=("count",))
    pool.run({"count": 1}, seed=4, operations=1_000)
    verdicts = pool.verdicts()
    broken = {v.name: v.detail for v in verdicts if not v.ok}
    assert broken == {"progress": "nothing went on: check turns_round_too does not end"}
    assert not {"user", "rss_exact"} & {v.name for v in verdicts}  # nobody knows


@pytest.mark.usefixtures("soon")
def test_a_step_of_ones_own_that_ends_is_not_stuck(make_pool):
    pool = make_pool(own_step_ends(), operations=("count",))
    pool.run({"count": 1}, seed=4, seconds=2)
    assert all(v.ok for v in pool.verdicts())


@contextmanager
def stopped(pids):
    """Processes that get no CPU meanwhile."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("which", [slice(0, 1), slice(0, 2)], ids=["one", "all"])
def test_workers_that_get_no_cpu_are_not_stuck(make_pool, monkeypatch, which):
    monkeypatch.setattr("stress.workers.crew.STUCK", 0.5)
    pool = make_pool("v12_sound", operations=("fault", "zap"))
    pool.start({"fault": 6, "zap": 1}, seed=4)
    pool.wait(0.1)
    with stopped(pool.pids[which]):
        assert pool.wait(2)
        threading.Timer(2, lambda: [os.kill(pid, signal.SIGCONT) for pid in pool.pids]).start()
        assert pool.finish().at_rest
    assert all(v.ok for v in pool.verdicts())


@pytest.mark.parametrize("at", ["start", "end"])
def test_a_worker_that_gets_no_cpu_for_long_is_named(make_pool, at):
    pool = make_pool("v12_sound", operations=("fault", "zap"))
    pool.patience = 1
    if at == "end":
        pool.start({"fault": 6, "zap": 1}, seed=4)
        pool.wait(0.1)
    says = rf"worker 1 \(pid {pool.pids[1]}\) got no CPU"
    with stopped(pool.pids[1:]), pytest.raises(MachineError, match=says):
        pool.start({"fault": 6, "zap": 1}, seed=4) if at == "start" else pool.finish()


def test_a_check_by_a_worker_that_gets_no_cpu_is_waited_for(make_pool):
    pool = make_pool("v12_sound", operations=("fault", "zap"))
    with stopped(pool.pids):
        threading.Timer(1, lambda: [os.kill(pid, signal.SIGCONT) for pid in pool.pids]).start()
        assert pool.truth(0).resident == 0
    assert not pool.stuck


def test_calls_start_together_after_a_run_too(make_pool):
    pool = make_pool("v12_sound", 2)
    pool.run(MIX, seed=1, operations=1_000)
    assert pool.memory[pool.blocks.shared + block.PAUSE] == 1  # at the barrier nobody would wait
    pool.perform({worker: [Call("fault", worker)] for worker in (0, 1)})
    assert pool.memory[pool.blocks.shared + block.PAUSE] == 0
    assert pool.memory[pool.blocks.shared + block.ARRIVED] == 2


def test_a_truncate_without_a_file_finds_no_page(make_pool):
    no_file = {"private_file": 0, "shared_file": 0, "mmu": True}
    pool = make_pool("v12_sound", 2, operations=(*MIX, "truncate"), **no_file)
    result = pool.run({**MIX, "truncate": 6}, seed=1, operations=20_000)
    assert result.ops["truncate"] > 5_000
    assert [verdict for verdict in pool.verdicts() if not verdict.ok] == []


def nameless_check():
    return lambda m: -1


def nameless_step():
    @step
    def here(m, r):
        return NEXT

    return here


@pytest.mark.parametrize(
    "own",
    [
        replace(designs.get("v12_sound"), checks=(nameless_check(),)),
        designs.get("v12_sound").edit(zap=lambda p: p.before(next_pte, nameless_step())),
    ],
    ids=["check", "step"],
)
def test_a_step_or_check_without_a_name_of_its_own_is_refused(make_pool, own):
    with pytest.raises(UsageError, match="define each with def at the top of a file"):
        make_pool(own, 1, operations=("fault", "zap"))


def test_an_operation_of_ones_own_has_the_same_number_everywhere(make_pool):
    """Whatever other operations the design has that this pool does not perform."""
    zap = designs.get("v12_sound").programs["zap"]
    pool = make_pool(designs.get("v12_sound").with_programs(first=zap, second=zap), 1, operations=("fault", "second"))
    assert pool.run({"fault": 1, "second": 1}, seed=1, operations=1_000).ops["second"] > 300


def test_a_design_that_cannot_be_read_is_refused(make_pool):
    with pytest.raises(UsageError, match="has no statm"):
        make_pool(designs.get("v12_sound").without("statm"), 1, operations=("fault", "zap"))


def test_two_pools_on_one_server_do_not_disturb_each_other(make_pool):
    one, other = make_pool("v12_sound"), make_pool("v12_sound")
    one.start(MIX, seed=1)
    other.start(MIX, seed=2)
    for pool in (one, other):
        while not sum(pool.progress().ops.values()):
            pool.wait(0.1)
    assert not set(one.pids) & set(other.pids)
    results = one.finish(), other.finish()
    assert all(r.operations > 0 for r in results)
    for pool in (one, other):
        assert all(v.ok for v in pool.verdicts())
    one.close()
    assert other.run(MIX, seed=3, operations=1_000).operations == 1_000


FORK_FAILS_ONCE = """
import errno, itertools, os
fork, turn = os.fork, itertools.count(1)
def fails_at_the_third():
    if next(turn) == 3:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return fork()
os.fork = fails_at_the_third
"""


def test_workers_of_a_crew_that_cannot_be_completed_are_ended(monkeypatch):
    monkeypatch.setattr(client, "SERVE", FORK_FAILS_ONCE + client.SERVE)
    machine = Machine(cpus=4, mms=2, anon=4, frames=16)
    with client.ForkServer() as server:
        with pytest.raises(MachineError, match="Resource temporarily unavailable"):
            Pool(designs.get("v12_sound"), machine, 4, operations=tuple(MIX), server=server)
        assert psutil.Process(server.pid).children() == []
        with Pool(designs.get("v12_sound"), machine, 4, operations=tuple(MIX), server=server) as pool:
            assert {child.pid for child in psutil.Process(server.pid).children()} == set(pool.pids)
            assert pool.run(MIX, seed=1, operations=1_000).operations == 1_000


def test_more_workers_than_cpus_of_the_machine_are_refused():
    with pytest.raises(ValueError, match="3 workers on 2 CPUs"):
        Pool(designs.get("v12_sound"), Machine(cpus=2, mms=1, anon=4, frames=8), 3)


@pytest.mark.parametrize(
    ("status", "says"), [(0, "ended with status 0"), (256, "ended with status 1"), (9, "was killed by SIGKILL")]
)
def test_the_end_of_a_worker_is_said_in_words(status, says):
    assert how_it_ended(status) == says
