"""The fault table: every page is one fault, and the columns follow from the figures."""

import json

import pytest
from click.testing import CliRunner

from stress.cli import main
from stress.commands.live_report import fault_text
from stress.live.faults import KINDS, MODES, Row, fault_table, least_memory, total_pages
from stress.live.measure import SERVER_BYTES, WORKER_BYTES
from stress.live.reading.machine import MIB, page_size

BUDGET = SERVER_BYTES + 2 * WORKER_BYTES + 8 * MIB


@pytest.mark.parametrize("mode", MODES)
def test_every_page_is_a_fault(mode):
    done = []
    rows, interrupted = fault_table(
        kinds=list(KINDS), modes=[mode], workers=[1, 2], repeat=2, budget=BUDGET, folder=None, progress=done.append
    )
    assert [(row.kind, row.workers) for row in rows] == [(kind, n) for kind in KINDS for n in (1, 2)]
    assert done == list(range(1, 17))
    assert not interrupted
    for row in rows:
        pages = row.bytes_once // page_size()
        assert row.bytes_once == 4 * MIB
        assert row.rep == 2
        # A few more: the first of a mapping may be retried, and the stack and buffers are touched.
        assert 2 * pages <= row.faults <= 2 * pages + 64, row
        assert row.wall > 0
        assert row.fault_wsec == pytest.approx(row.faults / row.wall)
    # So short a run may see no tick of the clock; a long one does.
    kind = next(iter(KINDS))
    times = (
        fault_table(kinds=[kind], modes=[mode], workers=[1], repeat=repeat, budget=BUDGET, folder=None)
        for repeat in (2, 20, 200, 2000)
    )
    assert any(row.user + row.system > 0 for ((row,), _) in times)


def test_json_of_faults_has_its_keys(run_live):
    status, out, err = run_live(
        "--table", "--kind", "anon", "--mode", "threads", "--workers", "1,2", "--repeat", 1, "--memory", 220, "--json"
    )
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert set(found) >= {"kernel", "rows", "time", "host", "cgroup"}
    assert [row["workers"] for row in found["rows"]] == [1, 2]
    for row in found["rows"]:
        assert {"kind", "mode", "workers", "faults", "wall", "fault_wsec"} <= set(row)


def test_interrupted_it_prints_the_rows_so_far(monkeypatch):
    def one_repetition(crew, row, pages):
        row.rep += 1
        if row.workers == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("stress.live.faults.one_repetition", one_repetition)
    arguments = ["live", "--table", "--kind", "anon", "--workers", "1,2", "--repeat", "1", "--memory", "220", "--json"]
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, done.stderr) == (130, "\npte-stress: interrupted\n")
    assert [row["workers"] for row in json.loads(done.stdout)["rows"]] == [1]


def test_columns_of_2004():
    row = Row("anon", "threads", 4, 1 << 30, rep=3, faults=600_000, user=0.5, system=1.0, wall=0.4)
    head, _, line = fault_text([row], "simple").splitlines()
    assert head.split() == ["kind", "mode", "Gb", "Rep", "Workers", "User", "System", "Wall", "flt/cpu/s", "fault/wsec"]
    assert line.split() == [
        "anon",
        "threads",
        "1.000",
        "3",
        "4",
        "0.500s",
        "1.000s",
        "0.400s",
        "400000",
        "1500000",
    ]


def test_memory_is_split():
    assert total_pages(least_memory(4), 4) == 4 * 64
    assert total_pages(1 << 40, 4) == 256 * MIB // page_size()


@pytest.mark.parametrize(
    ("words", "args"),
    [
        ("--workers 0: each number is 1 to", ["--table", "--workers", "0"]),
        ("--workers 'a,b': give numbers as in 1,2,4", ["--table", "--workers", "a,b"]),
        ("no table format 'nice'", ["--table", "--format", "nice"]),
        ("--pid and --table exclude each other", ["--pid", "1", "--table"]),
        ("and --explain: it goes with --pid only", ["--interval", "2"]),
        ("it goes with --table only", ["--kind", "anon"]),
        ("--rounds means nothing with --table", ["--table", "--rounds", "2"]),
        ("--memory means nothing with --pid", ["--pid", "1", "--memory", "200"]),
    ],
)
def test_wrong_use_is_refused_in_a_line(refused, words, args):
    refused(2, words, *args)
