"""The fit of the 2004 machine: what is read off by arithmetic, a fit that finds what made a table, and its errors."""

from dataclasses import replace
from statistics import median

import pytest

from stress import designs
from stress.report.published import Published, published_2004
from stress.scale import fit as fitting
from stress.scale.judging import identified
from stress.scale.machine import get_machine
from stress.scale.table_2004 import as_published, free_ns, predict, thread_ns

SMALL = 2_000


@pytest.fixture(scope="module")
def machine():
    return get_machine("2004")


def made_up(machine, gb, threads):
    """A row as a machine would have made it."""
    row = predict(designs.get("v12"), machine, gb=gb, rep=3, threads=threads, faults=SMALL)
    return Published("v12_list_rss", threads, 0.0, row.per_wall_s, gb, 3, row.user_s, row.system_s)


def test_start_and_exit_are_read_off_what_a_machine_made(machine):
    rows = [made_up(machine, gb, n) for gb in (16, 32) for n in (1, 2, 8, 64, 128)]
    assert thread_ns(rows) == pytest.approx(machine.process.thread_ns, rel=0.01)
    assert free_ns(rows) == pytest.approx(machine.process.free_ns, rel=0.01)


def test_the_shipped_machine_has_what_is_read_off_the_published_tables(machine):
    rows = published_2004()
    assert machine.process.thread_ns == pytest.approx(thread_ns(rows), rel=1e-3)
    assert machine.process.free_ns == pytest.approx(free_ns(rows), rel=1e-3)


def test_a_fit_finds_the_parameters_that_made_a_table(machine, monkeypatch):
    monkeypatch.setattr(fitting, "FAULTS", SMALL)
    rows = [made_up(machine, gb, n) for gb in (16, 32) for n in (1, 4, 8, 16, 64)]
    values = fitting.values_of(machine)
    start = fitting.with_values(machine, {name: value * 1.2 for name, value in values.items()})
    found = fitting.values_of(fitting.fit(start, rows))
    for name in ("near_ns", "far_ns", "hop_ns"):
        assert found[name] == pytest.approx(values[name], rel=0.1), name


def test_the_shipped_machine_is_near_the_published_rows(machine):
    rows = [row for row in fitting.fitted_rows() if row.threads in (1, 8, 128)]
    found = fitting.residuals(machine, rows, faults=SMALL)
    assert median(abs(r.rate) for r in found) < 0.05
    assert max(abs(r.rate) for r in found) < 0.2
    assert max(abs(r.system) for r in found) < 0.2
    slow = fitting.with_values(machine, fitting.values_of(machine) | {"far_ns": 40_000})
    assert median(abs(r.rate) for r in fitting.residuals(slow, rows, faults=SMALL)) > 0.05


def test_no_more_than_five_parameters_are_fitted():
    assert len(fitting.PARAMETERS) == 5


def test_beyond_128_threads_a_published_row_is_one_of_128(machine):
    ran = predict(designs.get("v12"), machine, gb=8, rep=3, threads=128, faults=SMALL)
    posted = as_published(designs.get("v12"), machine, gb=32, rep=3, threads=512, faults=SMALL)
    assert posted.wall_s == ran.wall_s
    assert posted.per_wall_s == pytest.approx(4 * ran.per_wall_s)


def test_a_parameter_that_moves_nothing_is_not_identified():
    assert not identified(0.05, 0.051, 0.2)
    assert identified(0.05, 0.06, 0.07)


def test_near_memory_makes_faults_faster(machine):
    far = replace(machine, memory=replace(machine.memory, node_gib=0.1))
    near, other = (
        predict(designs.get("v12"), m, gb=16, rep=1, threads=8, faults=SMALL).per_wall_s for m in (machine, far)
    )
    assert near > 1.2 * other
