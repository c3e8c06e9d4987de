"""`replay --step` and `--diff`: going through a counterexample in the terminal."""

import asyncio
import csv

import pytest
from click.testing import CliRunner

from stress import designs
from stress.cli import main
from stress.explore.counterexample.history import history
from stress.explore.counterexample.saved import save
from stress.explore.model.model import build
from stress.explore.result import Violation
from stress.workload import Workload

F11 = Violation("mapcount", (0,) * 6 + (1,) * 13, False)
WORKLOAD = Workload.parse("fault 0 w | swap_out")


def test_keys_go_through_the_states():
    stepper = pytest.importorskip("stress.explore.counterexample.stepper", reason="textual is missing")
    from textual.widgets import DataTable, Static

    async def session():
        app = stepper.Stepper(history(build(designs.get("v12"), WORKLOAD), F11))
        async with app.run_test(size=(140, 50)) as pilot:
            table = app.query_one(DataTable)

            async def shown(*keys):
                await pilot.press(*keys)
                await pilot.pause()
                return str(app.query_one("#what", Static).render())

            assert "The beginning" in await shown()
            assert "3. CPU 0: alloc_zeroed_page" in await shown("j", "j", "down")
            assert "2. CPU 0: read_pte" in await shown("k")
            last = await shown("end")
            assert "19. CPU 1: page_remove_rmap" in last
            assert "mapcount -1" in last
            assert "Too early: CPU 1 sets page 1 mapcount" in last
            assert table.row_count == 20
            assert "19. CPU 1: page_remove_rmap" in await shown("f")
            assert table.row_count < 16
            assert "The beginning" in await shown("home")

    asyncio.run(session())


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "f11.json"
    save(path, "v12", designs.get("v12"), WORKLOAD, F11)
    return str(path)


def test_steps_need_a_terminal(saved):
    done = CliRunner().invoke(main, ["replay", saved, "--step"])
    assert done.exit_code == 2
    assert "--step needs a terminal: use --diff" in done.output


def test_changes_lead_from_the_first_state_to_the_last(saved):
    """The changes that are printed, applied to the first state, give the last."""
    done = CliRunner().invoke(main, ["replay", saved, "--diff", "--format", "tsv"])
    assert done.exit_code == 1
    lines = [line for line in done.output.splitlines() if line and not line.startswith("#")]
    rows = list(csv.DictReader(lines, dialect="excel-tab"))
    found = history(build(designs.get("v12"), WORKLOAD), F11)
    assert len(rows) == sum(a.new != a.old for move in found.moves for a in move.writes())
    now = {}
    for row in rows:
        assert now.get(row["word"], row["before"]) == row["before"]
        now[row["word"]] = row["behind"]
    assert now["page 1 mapcount"] == "-1"
    assert now["mm 0 rss"] == "-1"
