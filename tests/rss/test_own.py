"""Counters of the user's own beside the built-in ones: the one of docs/designs.md, and what is refused."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from stress import designs
from stress.cli import main
from stress.designs import atomic, percpu
from stress.rss.own import own_subject

DOCS = Path(__file__).parents[2] / "docs/designs.md"
TWO_WAYS = """
from dataclasses import replace
from fold import COUNTER, FOLDING
from stress.designs import get
from stress.designs.v12_sound import on_sound_path
from stress.kernel.rss.atomic import atomic_add
from fold import this_cpu_add

EDITED = FOLDING.edit("x", "y", name="edited", fault=lambda p: p.replace(this_cpu_add, atomic_add))
NAMED = replace(FOLDING, name="percpu")
BARE = replace(FOLDING, name="bare", counter=None)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The file of the documents, and one that lies beside it."""
    made = tmp_path_factory.mktemp("own")
    (made / "fold.py").write_text(re.search(r"```python\n(# fold.py\n.*?)```", DOCS.read_text(), re.S)[1])
    (made / "more.py").write_text(TWO_WAYS)
    return made


def rss(*arguments):
    return CliRunner().invoke(main, ["rss", "--updates", "20000", "--cpus", "2", "--seed", "5", *map(str, arguments)])


def test_the_counter_of_the_documents_is_compared_with_a_built_in_one(folder):
    done = rss("--hop", "--counter", "atomic", "--counter", f"{folder}/fold.py:FOLDING", "--json")
    assert done.exit_code == 0, done.output
    atomic_, folding = json.loads(done.stdout)["counters"]
    assert (atomic_["name"], folding["name"]) == ("atomic", "folding")
    assert (folding["bound_pages"], folding["bytes_per_mm"]) == (None, None)
    assert folding["worst_error_pages"] > atomic_["worst_error_pages"] == 0
    assert folding["update_ns"] > 0
    assert folding["explored"]["complete"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("more.py:EDITED", "an edit of fault changed how it counts"),
        ("more.py:NAMED", "is called 'percpu', as a built-in design is"),
        ("more.py:BARE", "is made around no Counter"),
        ("fold.py:COUNTER", "defines no design COUNTER; it defines FOLDING"),
        ("absent.py:MINE", "no design file"),
    ],
)
def test_what_is_no_counter_is_refused_in_a_line(folder, name, said):
    done = rss("--counter", f"{folder}/{name}")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr


def test_two_counters_of_one_name_are_refused(folder):
    (folder / "again.py").write_text((folder / "fold.py").read_text() + "\n")
    done = rss("--counter", f"{folder}/fold.py:FOLDING", "--counter", f"{folder}/again.py:FOLDING")
    assert done.exit_code == 2
    assert "two of the counters are called 'folding'" in done.stderr


def test_built_in_designs_keep_the_counter_that_they_are_made_around():
    assert designs.get("percpu").counter is percpu.PERCPU
    assert designs.get("atomic").counter is atomic.ATOMIC


def test_own_operations_are_performed_at_ticks(folder):
    assert [len(program) for program in own_subject(f"{folder}/fold.py:FOLDING").ticks] == [9]


def test_review_measures_a_counter_of_ones_own_beside_others(folder):
    given = ["--finding", "F04", "--effort", "0.05", "--counter", f"{folder}/fold.py:FOLDING", "--json"]
    done = CliRunner().invoke(main, ["review", *given])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["measurements"][0]["rows"]
    assert [row["counter"] for row in rows] == ["sloppy", "atomic", "list", "folding"]
    refused = CliRunner().invoke(main, ["review", "--counter", f"{folder}/fold.py:FOLDING"])
    assert refused.exit_code == 2
    assert "add --measure, or --finding F04" in refused.stderr
