"""Drawn scripts on the model and on this kernel; models that are wrong on purpose are caught."""

import contextlib
import json
import signal
import textwrap
import time
from typing import get_args

import psutil
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, given, settings

from shm_layout.errors import MachineError, UsageError
from shm_layout.registers import R_ADDRESS, R_WRITE
from stress import designs
from stress.commands.live import live
from stress.designs.mremap import UNMAP_TARGET
from stress.kernel import fork, memory, pte_access, spinlock
from stress.kernel.rss import mm as mm_rss
from stress.kernel.rss import task as task_rss
from stress.labels import COPY, MAPPED, SKIP
from stress.live.compare import family as families
from stress.live.compare.compare import compare
from stress.live.compare.family import Family, describe, settle
from stress.live.compare.kernel_run import Do, Op, kernel_run
from stress.live.compare.model_run import ModelRun, Stuck
from stress.live.compare.scripts import scripts
from stress.live.compare.side_by_side import PAGES, PROCESSES, Comparing, Difference
from stress.live.figures import COUNTERS
from stress.program import Goto, Program
from stress.step import NEXT, step

SOUND = designs.get("v12_sound")
LOCKED = designs.get("page_table_lock")
MREMAP = designs.get("mremap")
COUNTERS_OF_DESIGNS = ("atomic", "cached", "deferred", "deferred_16", "lazy", "list", "percpu", "ptlock_split", "tree")


@pytest.fixture(scope="module")
def kernel():
    with kernel_run(PAGES, PROCESSES) as run:
        yield run


def test_the_model_and_this_kernel_have_the_same_pages():
    seen = []
    done = compare(SOUND, scripts=60, seed=7, progress=seen.append)
    assert done.ok, [str(d) for d in done.differences]
    assert done.scripts == 60
    assert seen == list(range(1, 61))
    assert done.operations > 3 * 60
    assert done.processes > 0


def test_pages_that_move_and_are_protected_are_the_same():
    """With mremap, mprotect and MADV_DONTNEED as operations of the design."""
    assert compare(MREMAP, scripts=60, seed=3).ok
    assert compare(designs.get("vma_refcnt"), scripts=20, seed=3).ok


def test_everything_that_can_be_asked_for_is_drawn():
    drawn = set()

    @settings(max_examples=200, database=None)
    @given(scripts(PAGES, PROCESSES, moves=True))
    def run(script):
        drawn.update(op.do for op in script)

    run()
    assert drawn == set(get_args(Do))


def test_a_vma_that_is_split_off_keeps_its_anon_vma(kernel, monkeypatch):
    """Else fork would leave file pages to faults that this kernel copies."""
    script = (Op("write", 0, "file"), Op("read", 0, "file", 5), Op("move", 0, "file", 5, 2), Op("fork"))
    both = Comparing(kernel, ModelRun(MREMAP, PAGES, PROCESSES))
    assert both.run(script)[-1].differences == []
    split = families._split

    def without(pages, page):
        found = split(pages, page)
        if found is not None:
            found.anon = False
        return found

    monkeypatch.setattr(families, "_split", without)
    assert "Process 1: file pages: kernel 1, model 0 (1 apart)." in map(str, both.run(script)[-1].differences)


@pytest.mark.parametrize("name", ["page_table_lock", *COUNTERS_OF_DESIGNS])
def test_every_way_of_counting_agrees(kernel, name):
    """Their statm is within their own bound, and what can sum precisely does."""
    both = Comparing(kernel, ModelRun(designs.get(name), PAGES, PROCESSES))

    @settings(max_examples=8, database=None)
    @given(scripts(PAGES, PROCESSES))
    def run(script):
        assert both.run(script)[-1].differences == []

    run()


@step(private=True)
def skip_page_3(m, r):
    """Fork leaves one page out."""
    return SKIP if r[R_ADDRESS] == 3 else NEXT


@step(private=True)
def reuse(m, r):
    """Copy-on-write never copies."""
    return NEXT


@step(private=True)
def map_page(m, r):
    """A private write maps the file's page."""
    return MAPPED


@step(private=True)
def pretend_write(m, r):
    """Every fault is a write."""
    r[R_WRITE] = 1
    return NEXT


FIGURES = [figure for figure in COUNTERS if figure[0] != "smaps_rollup"]

WRONG = {
    "zap does not clear the pte": LOCKED.edit(
        zap=lambda p: p.replace(pte_access.PTEP_GET_AND_CLEAR, pte_access.READ_PTE)
    ),
    "zap forgets rss": LOCKED.edit(zap=lambda p: p.drop(memory.count_freed)),
    "zap forgets anon_rss": LOCKED.edit(zap=lambda p: p.drop(mm_rss.dec_mm_anon_rss)),
    "fork copies nothing": LOCKED.edit(fork=lambda p: p.before(fork.copy_one_pte, Goto(SKIP))),
    "fork skips a page": LOCKED.edit(fork=lambda p: p.before(fork.copy_one_pte, skip_page_3)),
    "fork forgets the child's rss": LOCKED.edit(fork=lambda p: p.drop(mm_rss.inc_child_rss)),
    "fork forgets the child's anon_rss": LOCKED.edit(fork=lambda p: p.drop(mm_rss.inc_child_anon_rss)),
    "fork starts with the parent's anon_rss": SOUND.edit(
        fork=lambda p: p.replace(fork.dup_task_struct_zeroed, fork.dup_task_struct)
    ),
    "copy forgets rss": LOCKED.edit(fault=lambda p: p.drop(mm_rss.inc_mm_rss, within=COPY)),
    "copy forgets anon_rss": LOCKED.edit(fault=lambda p: p.drop(mm_rss.inc_mm_anon_rss, within=COPY)),
    "a write to a file page that was read keeps it": LOCKED.edit(
        fault=lambda p: p.replace(memory.can_share_page, reuse)
    ),
    "a private write maps the file": LOCKED.edit(fault=lambda p: p.replace(memory.if_write_to_private, map_page)),
    "a read takes a page": LOCKED.edit(fault=lambda p: p.before(memory.handle_pte_fault, pretend_write)),
    "fault keeps page_table_lock": LOCKED.edit(fault=lambda p: p.drop(spinlock.spin_unlock)),
    "statm leaves the tasks out": SOUND.edit(statm=lambda p: p.drop(task_rss.add_task_rss)),
    "as posted": designs.get("v12"),
    "mremap leaves its target": MREMAP.edit(mremap=lambda p: p.splice(tuple(Program(UNMAP_TARGET)))),
    "mremap loses its page": MREMAP.edit(mremap=lambda p: p.drop(pte_access.SET_PTE)),
    "mprotect loses its pages": MREMAP.edit(mprotect=lambda p: p.drop(pte_access.SET_PTE)),
    "MADV_DONTNEED keeps its pages": MREMAP.edit(
        madvise_dontneed=lambda p: p.replace(pte_access.PTEP_GET_AND_CLEAR, pte_access.READ_PTE)
    ),
}
"""Designs that are wrong in one place, and in what counts can show."""


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_model_is_caught(kernel, wrong):
    both = Comparing(kernel, ModelRun(WRONG[wrong], PAGES, PROCESSES))
    both.interfaces = False

    @settings(
        max_examples=500,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(scripts(PAGES, PROCESSES, moves=both.model.moves))
    def run(script):
        assert both.run(script)[-1].differences == []

    with pytest.raises(AssertionError):
        run()


def test_the_smallest_script_needs_each_of_its_operations(kernel):
    done = compare(WRONG["copy forgets anon_rss"], scripts=300, seed=2)
    assert (done.ok, done.repeated) == (False, True)
    script = [s.op for s in done.failing]
    assert 0 < len(script) <= 6, [describe(op) for op in script]
    both = Comparing(kernel, ModelRun(WRONG["copy forgets anon_rss"], PAGES, PROCESSES))
    assert both.run(tuple(script))[-1].differences == done.differences
    for number in range(len(script)):
        shorter = settle(script[:number] + script[number + 1 :], PROCESSES, PAGES)
        assert not shorter or not both.run(shorter)[-1].differences


def test_a_kernel_beyond_its_bound_is_caught(kernel, monkeypatch):
    """Interfaces are compared too: a kernel that shows one page too many everywhere, more than is allowed."""
    limit = 100000
    wrong = dict.fromkeys(FIGURES, limit)
    monkeypatch.setattr(kernel, "errors", lambda numbers, walk=True: dict.fromkeys(numbers, wrong))
    found = Comparing(kernel, ModelRun(SOUND, PAGES, PROCESSES)).run((Op("write", 0, "anon", 0, 3),))[-1].differences
    figures = {d.figure: d for d in found}
    assert figures["status RssAnon of the kernel"].kernel == limit + 3
    assert figures["status RssAnon of the kernel"].model == 3
    assert figures["status RssFile of the kernel"].model == 0


def test_pages_that_were_swapped_out_are_no_difference(kernel, monkeypatch):
    monkeypatch.setattr(kernel, "swapped", lambda: 5)
    with pytest.raises(MachineError, match="swapped out 5 pages"):
        Comparing(kernel, ModelRun(WRONG["as posted"], PAGES, PROCESSES)).run((Op("write"),))


def test_a_machine_that_fails_is_not_made_smaller(monkeypatch):
    calls = []

    def fail(self, script):
        calls.append(script)
        raise MachineError("the disk is full")

    monkeypatch.setattr(Comparing, "run", fail)
    with pytest.raises(MachineError, match="the disk is full"):
        compare(SOUND, scripts=5, seed=1)
    assert len(calls) == 1


def test_a_difference_that_does_not_come_again_is_said(monkeypatch):
    real, calls = Comparing.run, []

    def once(self, script):
        steps = real(self, script)
        calls.append(script)
        if len(calls) == 2:
            steps[-1].differences.append(Difference(0, "file pages", 1, 2))
        return steps

    monkeypatch.setattr(Comparing, "run", once)
    done = CliRunner().invoke(live, ["--compare", "--scripts", "9", "--seed", "1"])
    assert done.exit_code == 1
    assert "not there again when the script was repeated" in done.stdout


def test_fork_leaves_out_what_the_kernel_leaves_out():
    """An area counts as one that may hold anonymous pages from its first private write until it is mapped anew."""
    model = ModelRun(SOUND, PAGES, PROCESSES)
    script = [
        Op("read", 0, "file", 0, 2),
        Op("read", 0, "shmem", 0, 2),
        Op("fork"),
        Op("write", 0, "file", 5),
        Op("fork"),
        Op("discard", 0, "file", 5),
        Op("fork"),
    ]
    for op in script:
        model.apply(op)
    found = {n: (r.anon, r.file, r.shmem) for n, r in model.counts().items()}
    assert found == {0: (0, 2, 2), 1: (0, 0, 0), 2: (1, 2, 0), 3: (0, 2, 0)}


@settings(max_examples=100)
@given(scripts(PAGES, PROCESSES))
def test_drawn_scripts_can_be_done(script):
    family = Family(PROCESSES, PAGES)
    assert script
    for op in script:
        assert op.process in family.running
        assert family.possible(op)
        assert 0 <= op.first < op.first + op.count <= PAGES
        family.apply(op)
        assert family.running[0] == 0
        assert len(family.running) <= PROCESSES


def test_tasks_keep_their_counts_when_children_end_in_any_order():
    """A child that is moved to a CPU of its own leaves a place where the next child starts."""
    model = ModelRun(SOUND, PAGES, PROCESSES)
    for op in (
        Op("write", 0, "anon", 0, 4), Op("fork"), Op("fork"), Op("fork", 2), Op("write", 1, "anon", 2, 4),
        Op("exit", 2), Op("write", 3, "anon", 6, 2), Op("exit", 1), Op("fork", 3), Op("discard", 3, "anon", 0, 8),
    ):  # fmt: skip
        model.apply(op)
    assert {n: r.anon for n, r in model.counts().items()} == {0: 4, 1: 6, 3: 0}
    shown = {n: read["statm resident"][0] for n, read in model.counters().items()}
    assert shown == {0: 4, 1: 6, 3: 0}


def test_an_oops_of_the_model_is_told():
    model = ModelRun(
        LOCKED.edit(zap=lambda p: p.replace(pte_access.PTEP_GET_AND_CLEAR, pte_access.READ_PTE)), PAGES, PROCESSES
    )
    model.apply(Op("write"))
    model.apply(Op("discard"))
    with pytest.raises(Stuck, match="zap breaks mapcount, page_refs in the model"):
        model.apply(Op("discard"))


def test_a_design_that_cannot_be_compared_is_refused():
    with pytest.raises(UsageError, match="design v12_sound has no fork, exit"):
        ModelRun(SOUND.without("fork", "exit"), PAGES, PROCESSES)
    with pytest.raises(UsageError, match="design thp has huge pages, which are switched off"):
        ModelRun(designs.get("thp"), PAGES, PROCESSES)
    with pytest.raises(UsageError, match="operation zap: goto skip: no such label"):
        ModelRun(SOUND.edit(zap=lambda p: p.after(memory.next_pte, Goto(SKIP))), PAGES, PROCESSES)


def test_json_of_compare_has_its_keys(run_live, tmp_path):
    status, out, err = run_live("--compare", "--scripts", 3, "--seed", 4, "--json", cwd=tmp_path)
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert set(found) >= {"kernel", "design", "scripts", "operations", "differences", "ok"}
    assert (found["design"], found["scripts"], found["differences"], found["ok"]) == ("v12_sound", 3, [], True)
    assert found["operations"] >= 3
    assert list(tmp_path.iterdir()) == []


def test_a_design_of_the_users_own_that_differs(run_live, tmp_path):
    (tmp_path / "mine.py").write_text(
        textwrap.dedent(
            """\
            from stress import designs
            from stress.kernel.rss import mm

            MINE = designs.get("page_table_lock").edit(
                name="mine", fork=lambda p: p.drop(mm.inc_child_anon_rss)
            )
            """
        )
    )
    arguments = ("--compare", "--design", "mine.py:MINE", "--seed", 4)
    status, out, err = run_live(*arguments, cwd=tmp_path)
    assert (status, err) == (1, "")
    assert "0: write anon 0" in out
    assert "<--" in out
    assert "Process 1: statm shared by the model's counters: kernel 0, model 1 (1 apart)." in out
    assert "Verdict: NOT the same; seed 4." in out
    assert max(map(len, out.splitlines())) <= 80
    status, out, err = run_live(*arguments, "--json", cwd=tmp_path)
    assert (status, err) == (1, "")
    found = json.loads(out)
    assert found["ok"] is False
    assert found["script"] == ["0: write anon 0", "0: fork"]
    assert found["differences"] == [
        {"process": 1, "figure": "statm shared by the model's counters", "kernel": 0, "model": 1, "bound": 0}
    ]


def has_forked(pid):
    """Whether a worker, a child of the server, has a child: other processes that ask the kernel have none so deep."""
    with contextlib.suppress(psutil.NoSuchProcess):
        servers = psutil.Process(pid).children()
        return any(worker.children() for server in servers for worker in server.children())
    return False


def test_interrupted_it_prints_what_was_compared(kernel, start_live):
    """The loops are compiled by then: the kernel's side runs here already. A script is what makes a worker fork."""
    process = start_live("--compare", "--scripts", 10**6, "--seed", 1)
    deadline = time.monotonic() + 120
    while not has_forked(process.pid):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no script ran"
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "\npte-stress: interrupted\n")
    assert "(of 1000000 asked for)" in out
    assert "Verdict: the same; seed 1." in out


def test_options_that_mean_nothing_together(refused):
    refused(2, "--table and --compare exclude each other", "--compare", "--table")
    refused(2, "--pid and --compare exclude each other", "--compare", "--pid", 1)
    refused(2, "--rounds means nothing with --compare", "--compare", "--rounds", 3)
    refused(2, "--memory means nothing with --compare", "--compare", "--memory", 300)
    refused(2, "--scripts means nothing with --table", "--table", "--scripts", 3)
    refused(2, "--design means nothing without --pid, --table, --compare and --explain", "--design", "v12")
    refused(2, "did you mean v12_sound?", "--compare", "--design", "v12_soun")
    refused(3, "cannot create a file in /nowhere", "--compare", "--dir", "/nowhere")
