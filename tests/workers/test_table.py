"""pte-stress table: each page touched once, by the worker whose part it is in, and honest figures."""

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import psutil
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from in_shm import made_by
from processes import ended, without_compiling

from shm_layout.errors import UsageError
from stress import designs
from stress.cli import main
from stress.commands.options import MOST_WORKERS
from stress.commands.table import COLUMNS, table, total_pages, worker_counts
from stress.errors import DesignBroken
from stress.kernel.memory import handle_pte_fault
from stress.step import DONE, step
from stress.workers import fault_kinds
from stress.workers.loop.block import SCRIPT_CALLS
from stress.workers.pool import Pool
from stress.workers.server.client import ForkServer
from stress.workers.table import Given, measure


def run(*args):
    return subprocess.run(
        [sys.executable, "-m", "stress", "table", *args], capture_output=True, text=True, check=False, timeout=150
    )


@given(st.sampled_from(sorted(fault_kinds.KINDS)), st.integers(1, 40), st.integers(1, 20_000), st.integers(0, 9))
def test_the_workers_calls_cover_every_page_once(kind, workers, pages, seed):
    chosen = fault_kinds.KINDS[kind]
    touched = np.zeros(pages, int)
    for worker in range(workers):
        calls = fault_kinds.script(chosen, pages, worker, workers, np.random.default_rng(seed))
        assert len(calls) <= SCRIPT_CALLS
        for call in calls:
            touched[call.address : call.end] += 1
    assert (touched == 1).all()


@given(st.sampled_from(sorted(fault_kinds.KINDS)), st.integers(1, 40), st.integers(1, 20_000))
def test_file_pages_lie_where_the_machine_has_its_file(kind, workers, pages):
    chosen = fault_kinds.KINDS[kind]
    machine = fault_kinds.machine_for(chosen, workers=workers, pages=pages, arch="pae")
    assert machine.ptes == pages
    for worker in range(workers):
        for part, first, end in fault_kinds.parts(chosen, pages, worker, workers):
            assert (first >= machine.anon) if part.file else (end <= machine.anon)


@given(st.integers(1, 4 * MOST_WORKERS))
def test_default_workers_are_powers_of_two_and_all_cores(cores):
    counts = worker_counts(None, cores)
    assert counts[-1] == min(cores, MOST_WORKERS)
    assert all(n == 1 << i for i, n in enumerate(counts[:-1]))
    assert counts == sorted(set(counts))


def test_pages_are_given_by_number_or_by_gib():
    assert total_pages(32, None) == 8_388_608
    assert total_pages(None, 7) == 7
    with pytest.raises(UsageError, match="not both"):
        total_pages(1, 1)


@pytest.fixture(scope="module")
def server():
    with ForkServer() as found:
        yield found


@pytest.mark.parametrize("kind", fault_kinds.KINDS)
def test_faults_of_each_kind(kind, server):
    """All pages end up mapped, and all checks hold after the loop that touches them, what was prepared included."""
    chosen = fault_kinds.KINDS[kind]
    machine = fault_kinds.machine_for(chosen, workers=2, pages=1000, arch="64")
    design = fault_kinds.touching(designs.get("v12_sound"))
    with Pool(design, machine, 2, operations=[fault_kinds.TOUCH], server=server) as pool:
        for _ in range(2):
            fault_kinds.prepare(pool, chosen)
            assert [v for v in pool.verdicts() if not v.ok] == []
            assert pool.truth(0).resident == 0
            rng = np.random.default_rng(1)
            pool.perform({w: fault_kinds.script(chosen, 1000, w, 2, rng) for w in range(2)})
            assert [v for v in pool.verdicts() if not v.ok] == []
            file = sum(end - first for k, first, end in fault_kinds.areas(chosen, 1000) if k.file)
            truth = pool.truth(0)
            assert (truth.resident, truth.resident - truth.anon) == (fault_kinds.resident(chosen, 1000), file)


def test_a_row_is_what_was_measured(server):
    row = measure(designs.get("v12_sound"), "anon-write", Given(2, 5000, 3, "64", "padded", 1), server)
    assert (row.gb, row.rep, row.threads) == (5000 / 2**18, 3, 2)
    assert row.fault_wsec == pytest.approx(15_000 / row.wall)
    assert row.flt_cpu_s == pytest.approx(15_000 / (row.user + row.system))
    assert row.wall > 0
    assert 0 < row.user + row.system < 2 * row.wall + 0.1


@pytest.mark.parametrize(("design", "batch"), [("percpu", 34), ("lazy", 34), ("tree", 32)])
def test_the_batch_of_per_cpu_counts_grows_with_the_workers(design, batch, monkeypatch):
    """In `table` and in `run`: max(32, 2 * CPUs), that of the tree is fixed."""
    machines = []

    def seen(design, machine, *args, **more):
        machines.append(machine)
        raise UsageError("seen")

    monkeypatch.setattr("stress.workers.pool.Pool", seen)
    with pytest.raises(UsageError, match="seen"):
        measure(designs.get(design), "anon-write", Given(17, 100, 1, "64", "posted", 1), None)
    assert CliRunner().invoke(main, ["run", "--design", design, "--workers", "17"]).exit_code == 2
    assert [machine.batch for machine in machines] == [batch, batch]


def test_json_and_page_of_table_have_the_same_command(tmp_path):
    page = tmp_path / "table.html"
    result = run("--pages", "640", "--rep", "2", "--workers", "1,3", "--json", "--seed", "1", "--html", str(page))
    assert result.returncode == 0, result.stderr
    assert "pte-stress table --workers 1,3 --pages 640 --rep 2 --seed 1" in page.read_text()
    found = json.loads(result.stdout)
    assert found["design"] == "v12_sound"
    keys = ["gb", "rep", "threads", "user", "system", "wall", "flt_cpu_s", "fault_wsec"]
    keys += ["bare_fault_wsec", "work", "atomics", "waiting", "fault_wsec_spread"]
    assert [list(row) for row in found["rows"]] == [keys] * 2
    assert [row["threads"] for row in found["rows"]] == [1, 3]
    for row in found["rows"]:
        assert row["work"] + row["atomics"] + row["waiting"] == pytest.approx(1)
        assert row["work"] > 0
        spread = row["fault_wsec_spread"]
        assert spread["runs"] == 2
        assert spread["min"] <= spread["median"] <= spread["max"]
    assert found["load"].keys() == {"average", "steal", "others", "busy"}
    printed = run("--pages", "640", "--rep", "2", "--workers", "64", "--seed", "5", "--work", "none")
    lines = printed.stdout.splitlines()
    assert "seed 5" in lines[0]
    assert lines[1].split() == list(COLUMNS)
    assert lines[3].split()[1:3] == ["2", "64"]
    assert "cores: rows with more workers share them" in lines[4]
    assert lines[-2].split()[:2] == ["64", "2"]
    assert lines[-1].startswith("the machine was ")


@pytest.mark.parametrize(("number", "as_json"), [(signal.SIGINT, False), (signal.SIGINT, True), (signal.SIGTERM, True)])
def test_rows_so_far_are_printed_when_interrupted(number, as_json):
    counts = ["1"] + ["2"] * 500  # seconds for the first rows, minutes for all
    command = [sys.executable, "-m", "stress", "table", "--pages", "5000", "--workers", ",".join(counts), "--seed", "1"]
    command += ["--work", "none"]
    with subprocess.Popen(
        [*command, *(["--json"] if as_json else [])], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        launcher = psutil.Process(process.pid)
        workers = []
        while len(workers) < 2 and process.poll() is None:  # the second row
            with suppress(psutil.NoSuchProcess):
                workers = [p.pid for server in launcher.children() for p in server.children()]
            time.sleep(0.005)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert without_compiling(err) == "\npte-stress: interrupted\n"
    threads = (
        [row["threads"] for row in json.loads(out)["rows"]]
        if as_json
        else [int(line.split()[2]) for line in out.partition("\n\n")[0].splitlines()[3:]]
    )
    assert threads[0] == 1
    assert set(threads[1:]) <= {2}
    assert len(threads) < len(counts)
    assert made_by(process.pid) == []
    assert ended(workers)


@step
def handle_nothing(m, r):
    """A fault that ends at once."""
    return DONE


def test_a_design_whose_faults_map_nothing_is_no_figure(server):
    lazy = designs.get("v12_sound").edit(fault=lambda p: p.before(handle_pte_fault, handle_nothing))
    # the fault ends the whole loop, and mmap_sem stays taken: nothing is mapped
    with pytest.raises(DesignBroken, match="mapped 0 pages of 100"):
        measure(lazy, "anon-write", Given(1, 100, 1, "64", "posted", 1), server)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--design", "v12x"], "did you mean v12"),
        (["--kind", "anon"], "no kind of fault"),
        (["--workers", "0"], "each number is 1 to"),
        (["--workers", "two"], "give numbers as in 1,2,4"),
        (["--gb", "0"], "at least one page"),
        (["--gb", "nan"], "at least one page"),
        (["--gb", "1", "--pages", "1"], "not both"),
        (["--pages", "3", "--workers", "4"], "at least one page each"),
        (["--placement", "posed"], "did you mean posted"),
    ],
)
def test_bad_input(arguments, message):
    result = CliRunner().invoke(table, arguments)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
