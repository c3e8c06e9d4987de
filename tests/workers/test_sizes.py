"""Machines for runs: how much memory they take, and children that have the last pages only."""

import subprocess
import sys

import pytest
from broken_designs import exits_from_page_0

from shm_layout import available
from shm_layout.layout import Layout
from stress import designs
from stress.workers.loop.block import place_blocks
from stress.workers.mix import default_mix
from stress.workers.mix_machine import CHILD_PAGES, machine_for
from stress.workers.records import Call

ALL = ("fault", "zap", "fork", "clone", "exit", "exec", "statm", "swap_out", "truncate", "access_process_vm", "use_mm")
FEW = ("fault", "zap", "fork", "exit")
MIX = dict.fromkeys(ALL, 5) | {"fault": 60, "exit": 15}
SMALL = {"anon": 60, "private_file": 2, "shared_file": 2, "frames": 512, "swap": 64, "child_pages": 9}


@pytest.mark.parametrize("workers", [1, 2, 64])
@pytest.mark.parametrize("file_pages", [0, 32])
def test_32_gib_take_less_than_400_mb(workers, file_pages):
    mix = default_mix(designs.get("v12_sound"))
    run = {"workers": workers, "file_pages": file_pages, "arch": "64", "above_4g": True}
    machine = machine_for(mix, pages=8_388_608, **run)
    words = place_blocks(Layout(machine), workers).words
    assert machine.mms == 1 + min(2 * workers, 32)
    assert machine.frames > machine.anon == 8_388_608
    assert 8 * words < 400_000_000
    assert machine_for(mix, pages=CHILD_PAGES - file_pages, **run).child_ptes == CHILD_PAGES
    assert machine_for(mix, pages=100, **run).child_ptes == 100 + file_pages


@pytest.mark.parametrize(("design", "arch", "names"), [("v12_sound", "pae", ALL), ("ptlock_split", "64", FEW)])
def test_children_with_the_last_pages_only(make_pool, design, arch, names):
    mix = {name: MIX[name] for name in names}
    pool = make_pool(design, 2, operations=tuple(mix), arch=arch, ptrs_per_pte=4, **SMALL)
    seen = 0
    for seed in range(3):
        result = pool.run(mix, seed=seed, operations=100_000, seconds=20)
        assert min(result.ops.values()) > 0
        assert [v for v in pool.verdicts() if not v.ok] == []
        seen += sum(pool.truth(mm).resident for mm in range(1, pool.machine.mms))
    assert seen > 0, "no child had a page"


def test_a_walk_over_pages_that_a_child_lacks_is_seen(make_pool):
    pool = make_pool(exits_from_page_0(), 2, operations=FEW, **SMALL)
    pool.run({name: MIX[name] for name in FEW}, seed=1, operations=50_000, seconds=20)
    assert [v for v in pool.verdicts() if not v.ok]


def test_single_calls_are_refused_there(make_pool):
    pool = make_pool("v12_sound", 1, **SMALL)
    with pytest.raises(ValueError, match="only where every mm has all pages"):
        pool.perform({0: [Call("fault", 3)]})
    assert pool.perform({0: [Call("statm")]})[0][0].resident == 0


def test_a_run_on_32_gib():
    if available.shm_available() < 400_000_000:
        pytest.skip(f"needs 400 MB free in {available.SHM}")
    command = [sys.executable, "-m", "stress", "run", "--pages", "8388608", "--seconds", "0.3", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8,388,608 pages, 32 of a file (the last 8,192 in children), seed 1" in done.stdout
    assert float(done.stdout.split("segment ")[1].split(" MiB")[0]) * (1 << 20) < 400_000_000
    assert "BROKEN" not in done.stdout
