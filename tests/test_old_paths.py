"""Paths of imports that files of users name, and where what they lead to lies now."""

import importlib
import subprocess
import sys

import pytest

from stress import designs
from stress.design import Design
from stress.resolve import resolve_design

MOVED = {
    "stress.boot": "stress.kernel.boot",
    "stress.designs.build": "stress.designs.parts.operations",
    "stress.designs.correction": "stress.designs.parts.correction",
    "stress.designs.counter": "stress.designs.parts.counter",
    "stress.explore.trace": "stress.explore.counterexample.trace",
    "stress.held": "stress.designs.parts.counter_checks",
    "stress.oops": "stress.kernel.bug",
    "stress.plain": "stress.sequential",
    "stress.workers.call": "stress.workers.records",
}
NAMES = {
    "stress.boot": "boot boot_registers boot_tasks",
    "stress.checks": "AT_REST CHECKS HOLDS",
    "stress.design": "Bound Design EXACT OPERATIONS READS",
    "stress.designs": "get names",
    "stress.designs.build": "Accesses FAULT_BEGIN FAULT_END operations",
    "stress.designs.correction": "Correction corrected everywhere",
    "stress.designs.counter": "Counter counter_that",
    "stress.errors": "DesignBroken MachineError PteStressError UsageError",
    "stress.explore": "Bounds Result Violation Workload explore search",
    "stress.explore.model": "Model SetupError build",
    "stress.explore.trace": "Player trace",
    "stress.held": "exact_while_single harmed_by_a_read nothing_lost",
    "stress.kernel": "exit fork memory page_alloc pgtable proc pte_access rmap spinlock swap tlb",
    "stress.kernel.rss": "amount atomic cached deferred lazy mm percpu sloppy task tree",
    "stress.labels": "DO_ANONYMOUS_PAGE OUT OUT_UNLOCK RACED",
    "stress.oops": "MAPCOUNT OWNER PAGE_REFS PFN_VALID SWAP_REFS USER oops",
    "stress.plain": "PlainMachine",
    "stress.program": "At ByArch Goto Program",
    "stress.resolve": "resolve_design",
    "stress.step": "DONE LabelInfo NEXT WAIT helper label label_info labels outcomes step",
    "stress.testing": "CheckBroken fixtures pools state_machine stateful strategies workers",
    "stress.workers.call": "Call Verdict",
    "stress.workers.pool": "Pool",
    "stress.workload": "Operation Workload parse_operation",
}


@pytest.mark.parametrize("path", NAMES)
def test_names_are_found_at_their_old_paths_in_a_new_process(path):
    code = "\n".join(f"from {path} import {name}" for name in NAMES[path].split())
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("old", MOVED)
def test_an_old_path_offers_the_very_objects_of_the_new_one(old):
    here, there = importlib.import_module(old), importlib.import_module(MOVED[old])
    assert MOVED[old] in here.__doc__
    assert here.__all__
    for name in here.__all__:
        assert getattr(here, name) is getattr(there, name)


def test_functions_are_not_hidden_by_modules_of_the_same_name():
    for module in (
        "stress.explore.searching.search",
        "stress.explore.model.model",
        "stress.explore.counterexample.trace",
        "stress.explore.trace",
    ):
        importlib.import_module(module)
    for path, name in (
        ("stress.explore", "explore"),
        ("stress.explore", "search"),
        ("stress.explore.model", "build"),
        ("stress.explore.trace", "trace"),
    ):
        assert callable(getattr(importlib.import_module(path), name))


def test_every_design_has_a_module_of_its_name_and_old_paths_are_no_designs():
    for name in designs.names():
        assert isinstance(importlib.import_module(f"stress.designs.{name}").DESIGN, Design)
    old = {path.rpartition(".")[2] for path in MOVED if path.startswith("stress.designs.")}
    assert old == set(designs.OLD_PATHS)
    assert not old & set(designs.names())


def test_a_design_made_from_old_paths_is_resolved(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from stress import oops\n"
        "from stress.designs.atomic import DESIGN as ATOMIC\n"
        "from stress.designs.counter import counter_that\n"
        "from stress.held import nothing_lost\n"
        "from stress.kernel.tlb import update_mmu_cache\n"
        "from stress.step import NEXT, step\n"
        "@step\n"
        "def careful(m, r):\n"
        "    if r[0] < 0:\n"
        "        oops.oops(r, oops.USER)\n"
        "    return NEXT\n"
        "COUNTER = counter_that((careful,), statm=(), status=(), stat=())\n"
        "MINE = ATOMIC.edit('mine', 'so', name='mine', fault=lambda p: p.replace(update_mmu_cache, careful))\n"
    )
    assert resolve_design(f"{file}:MINE").name == "mine"
