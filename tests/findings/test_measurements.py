"""The measurements of the review, small: what they must show, whatever the machine's times; and what errors leave."""

import json
import re

import pytest
from click.testing import CliRunner

from shm_layout.errors import MachineError
from stress import findings
from stress.cli import main
from stress.findings import measurement
from stress.findings.fault_rates import worker_numbers
from stress.findings.measurement import Measured, Measurement, get_measurement, measurement_ids
from stress.findings.show import show

EFFORT = 0.05
WORKERS = len(worker_numbers())
ROWS = {"F02": 5 * WORKERS, "F03": 6 * WORKERS, "F04": 3, "F05": 8 * WORKERS, "F07": 4, "F16": 2}
"""Rows of each measurement's table."""


def review(*arguments):
    return CliRunner().invoke(main, ["review", "--seed", "1", *map(str, arguments)])


def test_all_measurements_are_tested():
    assert sorted(ROWS) == measurement_ids()


def check_exact_counters(found):
    worst = {row["counter"]: row["worst error, pages"] for row in found.rows}
    assert worst["atomic"] == worst["list"] == 0


def check_only_what_is_sound_holds(found):
    explored = {row["get_rss"]: row["explored"] for row in found.rows}
    assert explored["walk, always"] == explored["flag set before, cleared by counts"] == "holds"
    assert explored["skip for one task"].startswith("breaks read_regular")
    assert explored["flag set after the sum"].startswith("breaks rss_exact")


def check_where_plain_set_pte_is_safe(found):
    assert re.search(r"fork-copy and zap: holds, [\d,]+ states", found.says[-3])
    assert found.says[-2].endswith("breaks pfn_valid")


CONCLUDED = re.compile(
    r"in \d+ turns: (larger|smaller|no difference is measurable here)\)|gains most|any kind .* not measurable here"
)
"""What measured figures come to is said with the spread of their turns, or not at all."""

MORE = {"F04": check_exact_counters, "F07": check_only_what_is_sound_holds, "F16": check_where_plain_set_pte_is_safe}


@pytest.mark.parametrize("identifier", sorted(ROWS))
def test_a_measurement_shows_what_it_must(identifier):
    found = get_measurement(identifier).measure(EFFORT, 1)
    assert found.ok, found.says
    assert len(found.rows) == ROWS[identifier]
    assert found.says
    for row in found.rows:
        assert list(row) == list(found.rows[0])
        rates = [value for name, value in row.items() if re.search(r"M/s|ns", name)]
        assert rates
        assert all(value >= 0 for value in rates)
    json.dumps((found.rows, found.simulated))
    assert found.simulated
    for row in found.simulated:
        assert list(row) == list(found.simulated[0])
        assert all(value > 0 for name, value in row.items() if "M/s" in name)
    assert any(CONCLUDED.search(sentence) for sentence in found.says)
    MORE.get(identifier, lambda found: None)(found)


# what an error of one leaves of the others


@pytest.fixture
def quick(monkeypatch):
    """Let all measurements but F07 be quick, and F07 end in the error that is set."""
    errors = {}

    def get(identifier):
        def measure(effort, seed):
            if identifier in errors:
                raise errors[identifier]
            labels = {"placement": "padded"} if identifier == "F05" else {}
            rates = {1: {"lock, M/s": 0.5, "free, M/s": 1}, 8: {"lock, M/s": 0.0625, "free, M/s": 8}}
            simulated = tuple({**labels, "machine": "2004", "CPUs": n, **rate} for n, rate in rates.items())
            return Measured(({"figure": f"of {identifier}"},), (f"{identifier} is measured",), simulated=simulated)

        return Measurement(identifier, f"title of {identifier}", "what is asked", measure)

    monkeypatch.setattr(measurement, "get_measurement", get)
    monkeypatch.setattr(findings, "ids", lambda: ["F11", "F12"])
    return errors


def test_an_error_in_one_measurement_leaves_all_others(quick):
    quick["F07"] = MachineError("no room for F07: make some")
    done = review("--measure")
    assert done.exit_code == 3
    assert re.search(r"^F11 .* yes$", done.stdout, re.M)
    for identifier in set(measurement_ids()) - {"F07"}:
        assert f"{identifier} is measured" in done.stdout
    assert "F07 ended in an error: no room for F07: make some" in done.stdout
    assert done.stderr == "pte-stress: error: no room for F07: make some\n"


def test_an_error_in_one_measurement_leaves_all_others_in_json(quick):
    quick["F02"] = MachineError("no room")
    quick["F16"] = KeyError("list")
    done = review("--measure", "--json")
    found = json.loads(done.stdout)
    assert found["ok"] is False
    assert [s["id"] for s in found["findings"]] == ["F11", "F12"]
    assert [m["id"] for m in found["measurements"]] == ["F03", "F04", "F05", "F07"]
    assert found["errors"] == [{"id": "F02", "error": "no room"}, {"id": "F16", "error": "KeyError: 'list'"}]


def test_the_page_has_what_is_simulated_as_table_and_picture(quick, tmp_path):
    pytest.importorskip("matplotlib")
    page = tmp_path / "review.html"
    assert review("--measure", "--html", str(page)).exit_code == 0
    text = page.read_text()
    assert text.count("<svg") == len(measurement_ids())
    for name in ("lock", "free", "lock, padded", "free, padded"):
        for cpus in (1, 8):
            rate = 5e5 / cpus if name.startswith("lock") else 1e6 * cpus
            assert f"{name}: {rate:,.6g} (faults per second, all together) at {cpus} (CPUs)" in text
    assert "simulated, machine 2004" in text


def test_an_error_in_one_finding_leaves_all_others(quick, monkeypatch):
    def shown(finding, *given):
        if finding.id == "F11":
            raise MachineError("no room for F11: make some")
        return show(finding, *given)

    monkeypatch.setattr("stress.findings.show.show", shown)
    done = review()
    assert done.exit_code == 3
    assert re.search(r"^F12 .* yes$", done.stdout, re.M)
    assert "F11 ended in an error: no room for F11: make some" in done.stdout
    assert "1 of 2 findings shown" in done.stdout
