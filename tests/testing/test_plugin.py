"""What a user of pytest sees: markers, fixtures and the folder of failures, with nothing declared in a conftest."""

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points

import pytest
from click.testing import CliRunner
from hypothesis import settings

from stress.cli import main
from stress.designs import get
from stress.testing import Bounds, CheckBroken, NotExplored, explored, hunted
from stress.testing.stateful import OURS, usual_settings

MINE = """
from stress.designs import get
from stress.kernel.rmap import page_add_anon_rmap
from stress.kernel.swap import lru_cache_add_active
from stress.labels import DO_ANONYMOUS_PAGE

LRU_FIRST = get("v12_sound").edit(
    "lru_first", "first on the LRU", name="lru_first",
    fault=lambda p: p.swap(lru_cache_add_active, page_add_anon_rmap, within=DO_ANONYMOUS_PAGE),
)
"""
TESTS = """
import pytest
from my_design import LRU_FIRST
from stress.testing import Call, explored


@pytest.mark.explore(LRU_FIRST, "fault 0 w", "fault 0 w | swap_out")
def test_small():
    pass


@pytest.mark.explore(LRU_FIRST, "fault 0 w | zap 0", arch="pae")
def test_seen(exploration):
    assert exploration.complete and exploration.workload.machine.arch == "pae"


def test_hunted(hunt):
    hunt(LRU_FIRST, seconds=10)


def test_whole_range(workers):
    pool = workers(LRU_FIRST, operations=("fault", "fork", "clone", "exit"))
    pool.perform({0: [Call("fault", address=3, write=True), Call("fork")]})
    assert pool.truth(1).resident == 1
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run of pytest on the files above: its output, and what it saved."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "my_design.py").write_text(MINE)
    (folder / "test_mine.py").write_text(TESTS)
    given = ["-p", "stress.testing.plugin", "-p", "no:cacheprovider", "--strict-markers", "--pte-stress-save", "kept"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", *given, str(folder)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "XDG_CACHE_HOME": str(folder / "cache"),
            "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", os.path.expanduser("~/.cache")),
        },
    )
    return folder, done.stdout


def test_a_marked_test_runs_once_for_each_workload(run):
    _, out = run
    assert "PASSED test_mine.py::test_small[lru_first-fault 0 w]" in out
    assert "FAILED test_mine.py::test_small[lru_first-fault 0 w | swap_out]" in out
    assert "PASSED test_mine.py::test_seen[lru_first-fault 0 w | zap 0]" in out
    assert "PASSED test_mine.py::test_whole_range" in out
    assert "2 failed, 3 passed" in out


def test_the_message_is_the_shortest_counterexample(run):
    _, out = run
    assert "lru_first breaks anon_rss_exact, mapcount, data_kept on 'fault 0 w | swap_out', arch 64" in out
    assert "page 1 mapcount: 0 -> -1" in out


def test_what_broke_is_kept_for_replay(run):
    folder, _ = run
    kept = sorted((folder / "kept").iterdir())
    assert [path.name for path in kept] == [
        "test_mine.py_test_hunted.json",
        "test_mine.py_test_small_lru_first-fault_0_w_swap_out.json",
    ]
    design = f"{folder}/my_design.py:LRU_FIRST"
    for path in kept:
        done = CliRunner().invoke(main, ["replay", str(path), "--design", design])
        assert done.exit_code == 1
        assert json.loads(path.read_text())["check"] in done.stdout


def test_an_exploration_that_a_bound_ended_is_no_proof():
    with pytest.raises(NotExplored, match=r"v12_sound, fault 0 w \| zap 0: .* the bound on states was reached"):
        explored(get("v12_sound"), "fault 0 w | zap 0", bounds=Bounds(states=10))
    assert explored(get("v12_sound"), "fault 0 w | zap 0").complete


def test_a_hunt_in_vain_returns_what_it_did():
    assert hunted(get("page_table_lock"), seconds=1).finds == {}
    with pytest.raises(CheckBroken, match="v12 breaks"):
        hunted(get("v12"), seconds=10)


def test_settings_of_a_profile_are_heeded_and_others_are_ours():
    before = settings.get_current_profile_name()
    settings.register_profile("long", max_examples=777, print_blob=False)
    settings.load_profile("long")
    try:
        ours = usual_settings()
        assert ours.max_examples == 777
        assert ours.stateful_step_count == OURS["stateful_step_count"]
        assert ours.print_blob
    finally:
        settings.load_profile(before)


def test_the_plugin_is_an_entry_point_that_imports_neither_numba_nor_numpy():
    code = (
        "import sys, stress.testing.plugin; "
        "assert not {'numba', 'numpy', 'hypothesis'} & sys.modules.keys(), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert "stress.testing.plugin" in [entry.value for entry in entry_points(group="pytest11")]
