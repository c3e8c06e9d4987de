"""`pte-stress list` names what there is, under names that can be imported and edited with."""

import importlib
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from shm_layout import registers as register_module
from shm_layout.layout import Layout
from shm_layout.machine import Machine
from shm_layout.structs import STRUCTS
from stress import cli, designs
from stress.checks import CHECKS
from stress.commands.list import TABLES
from stress.labels import label_info, labels
from stress.operation import OPERATIONS
from stress.program import At, ByArch, Goto, Program
from stress.reference import tables
from stress.reference.source_names import declared_in

MINE = """
from shm_layout.atomic import fetch_add
from shm_layout.registers import R_PAGE
from shm_layout.structs import page_struct
from stress.checks import HOLDS
from stress.designs import get
from stress.kernel.rmap import page_add_anon_rmap
from stress.program import At, Program
from stress.step import NEXT, label, step
from dataclasses import replace

PAGE_LISTED = page_struct.word("listed", "the test", "a word of the test")
HERE = label("here_of_the_test", section=True)


@step
def my_step(m, r):
    '''page->listed++.'''
    fetch_add(m, m[PAGE_LISTED], 1)
    return HERE


def my_check(m):
    '''At rest: nothing in particular.'''
    return HOLDS


MINE = replace(
    get("v12_sound").with_programs(mine=Program(my_step, At(HERE))), name="mine", checks=(my_check,)
)
"""


def listed(*args):
    done = CliRunner().invoke(cli.main, ["list", *args, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)[args[0]]


def imported(module, name):
    return getattr(importlib.import_module(module), name)


def value_of(entry, module):
    """What an entry of a printed program stands for."""
    for kind in (At, Goto):
        if entry.startswith(f"{kind.__name__}("):
            return kind(imported("stress.labels", entry.removeprefix(f"{kind.__name__}(").removesuffix(")")))
    return imported(module, entry)


@pytest.mark.parametrize("name", designs.names())
def test_a_program_can_be_written_down_from_what_is_listed(name):
    design = designs.get(name)
    for operation, program in design.programs.items():
        rows = tables.program(design, operation)
        assert Program(*(value_of(row["entry"], row["module"]) for row in rows)) == program
        assert [row["shown"] for row in rows] == program.names()


def test_steps_are_listed_with_their_users():
    rows = {(row["step"], row["module"]): row for row in listed("steps")}
    for name in designs.names():
        design = designs.get(name)
        for operation, program in design.programs.items():
            for step in design.with_programs().edit().without(*(design.programs.keys() - {operation})).steps:
                row = rows[step.__name__, step.__module__]
                assert operation in row["operations"], (step, operation)
                assert name in row["designs"]
                assert row["does"]
            assert len(program) > 0
    unused = [row for row in rows.values() if not row["designs"]]
    assert all(row["operations"] == [] for row in unused)
    assert all(isinstance(imported(m, n), ByArch) == (row["kind"] == "by arch") for (n, m), row in rows.items())


def test_fields_are_listed_under_the_constants_that_lead_to_them():
    layout = Layout(Machine(2, 2, anon=4, shared_file=1, frames=6, swap=2, mmu=True, ghost=True))
    constants = layout.constants()
    rows = [row for row in listed("fields") if row["module"] == "shm_layout.structs"]
    seen = set()
    for row in rows:
        value = constants.get(imported(row["module"], row["name"]), 0)
        if row["structure"] and row["field"]:
            found = layout.field_at(value)
            if layout.regions[row["structure"]].count:
                assert found is not None
                assert (found[0].name, found[1], found[0].doc) == (row["field"], 0, row["holds"])
            seen.add((row["structure"], row["field"]))
        elif row["structure"]:
            assert value == layout.regions[row["structure"]].count
    own = {module.__name__: declared_in(module) for module in tables.kernel_modules()}
    assert all("word" not in declared.function for found in own.values() for declared in found)
    declared = {(s.name, f.name) for s in STRUCTS.values() for f in s.fields}
    assert seen <= declared
    assert len(seen) >= 40


def test_labels_registers_operations_checks_and_designs_are_all_listed():
    rows = listed("labels")
    assert {label_info(imported(row["module"], row["name"])).name for row in rows} == {row["label"] for row in rows}
    assert {row["label"] for row in rows} <= {label.name for label in labels()}
    fault = {row["label"] for row in rows if "fault" in row["operations"]}
    faults = [designs.get(name).programs["fault"] for name in designs.names()]
    assert fault == {label_info(e.label).name for program in faults for e in program if type(e) is At}
    numbers = {n: v for n, v in vars(register_module).items() if n.startswith("R_")}
    assert {row["name"]: row["number"] for row in listed("registers")} == numbers
    assert all(row["holds"] for row in listed("registers"))
    assert [row["operation"] for row in listed("operations")] == list(OPERATIONS)
    assert [row["check"] for row in listed("checks")] == list(CHECKS)
    assert sorted(row["design"] for row in listed("designs")) == designs.names()


def test_what_a_file_of_the_users_declares_is_listed(tmp_path):
    (tmp_path / "listed.py").write_text(MINE)
    shown = {}
    for table in ("steps", "fields", "labels", "operations", "checks"):
        command = [sys.executable, "-m", "stress", "list", table, "--design", "listed.py:MINE", "--json"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
        shown[table] = json.loads(done.stdout)[table]
    steps = {row["step"]: row for row in shown["steps"]}
    assert steps["my_step"] == {
        "step": "my_step", "module": "listed.py", "does": "page->listed++.", "kind": "", "operations": ["mine"],
        "designs": ["mine"],
    }  # fmt: skip
    assert {"name": "PAGE_LISTED", "structure": "page", "field": "listed", "module": "listed.py"}.items() <= next(
        row for row in shown["fields"] if row["field"] == "listed"
    ).items()
    assert shown["labels"][-1] == {
        "name": "HERE", "label": "here_of_the_test", "jump": "forward", "section": "yes", "operations": ["mine"],
        "module": "listed.py",
    }  # fmt: skip
    assert shown["operations"][-1]["operation"] == "mine"
    assert shown["checks"][-1]["check"] == "user: my_check"


def test_tables_fit_eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for table in TABLES:
        done = CliRunner().invoke(cli.main, ["list", table])
        assert done.exit_code == 0
        assert max(map(len, done.stdout.splitlines())) <= 80
        first = next(iter(listed(table)[0].values()))
        assert first in done.stdout.replace("\n", "")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["step"], "nothing to list is called 'step'; did you mean steps?"),
        (["registers", "--design", "v12"], "--design means nothing to `list registers`"),
        (["labels", "--design", "v12", "--operation", "fault"], "--operation is for `list steps --design NAME`"),
        (["steps", "--design", "v12", "--operation", "fautl"], "no operation 'fautl'; did you mean fault?"),
    ],
)
def test_wrong_lists_are_refused_in_one_line(args, said):
    done = CliRunner().invoke(cli.main, ["list", *args])
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
