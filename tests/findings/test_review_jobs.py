"""`review` in several processes, and on a cluster: what is shown is the same, in the same order."""

from __future__ import annotations

import json
import pickle
import re

import pytest
from click.testing import CliRunner

from stress import findings
from stress.cli import main
from stress.findings.show import show

MOST = ["--finding", "F01", "--finding", "F12", "--finding", "R01", "--finding", "W01"]


def told(*options: str) -> list[dict[str, object]]:
    done = CliRunner().invoke(main, ["review", *MOST, "--json", *options])
    assert done.exit_code == 0, done.output
    found = json.loads(re.sub(r'"seconds": [0-9.e-]+', '"seconds": 0', done.stdout))
    return list(found["findings"])


@pytest.mark.parametrize("options", [("--jobs", "2"), ("--jobs", "2", "--dask", "local")], ids=["jobs", "dask"])
def test_several_processes_show_the_same(options: tuple[str, ...]) -> None:
    assert told(*options) == told("--jobs", "1")


def test_a_cluster_takes_no_measurement() -> None:
    done = CliRunner().invoke(main, ["review", "--finding", "F05", "--dask", "local"])
    assert done.exit_code == 2
    assert "measurements are taken here" in done.stderr


def test_a_scheduler_that_runs_already_is_asked() -> None:
    pytest.importorskip("distributed")
    from stress.cluster.connecting import _started

    with _started(1) as address:
        assert told("--dask", address) == told("--jobs", "1")


@pytest.mark.parametrize("identifier", ["F01", "F14", "W02"])
def test_what_is_shown_of_a_finding_goes_to_another_process(identifier: str) -> None:
    shown = show(findings.get(identifier))
    again = pickle.loads(pickle.dumps(shown))
    assert again.ok
    assert (again.finding, again.wrong) == (shown.finding, shown.wrong)
    for mine, its in zip(
        (shown.posted, shown.v12, *shown.harmless), (again.posted, again.v12, *again.harmless), strict=True
    ):
        assert (mine is None) == (its is None)
        if mine is not None:
            assert its.violations == mine.violations
            assert its.design.programs == mine.design.programs
