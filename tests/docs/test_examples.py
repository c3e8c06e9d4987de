"""Every example in the documents does what stands beside it: files as a new user makes them, commands as printed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from shown_lines import is_shown

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/architecture.md",
    "docs/designs.md",
    "docs/figures.md",
    "docs/races.md",
)
TUTORIAL = "docs/tutorial.md"
FILE = re.compile(r"^```python\n# (\S+\.py)\n.*?^```$", re.MULTILINE | re.DOTALL)


def files(document):
    """The files of a document: name to text."""
    text = (ROOT / document).read_text()
    return {found[1]: found[0].removeprefix("```python\n").removesuffix("```") for found in FILE.finditer(text)}


def commands_in(text):
    """The commands of a text outside of its files: (command, lines shown or None where it stands without `$`)."""
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    found = []
    for indented in re.findall(r"(?:^    .*\n|^\n(?=    ))+", outside, re.MULTILINE):
        shown = None
        for line in indented.splitlines():
            text = line.removeprefix("    ")
            prompt = text.startswith("$ ")
            if prompt or text.startswith(("pte-stress ", "python ")):
                shown = [] if prompt else None
                found.append((text.removeprefix("$ "), shown))
            elif shown is not None and text:
                shown.append(text)
    return found


def commands(document):
    """The commands of a document that name one of its files or list something, or stand without `$`."""
    names = (*files(document), "pte-stress list ")
    found = commands_in((ROOT / document).read_text())
    return [(command, shown) for command, shown in found if shown is None or any(name in command for name in names)]


def perform(command, folder):
    """Run a command in a folder; words that name this program or Python are this interpreter."""
    program, *arguments = shlex.split(command)
    words = [sys.executable, "-m", "stress"] if program == "pte-stress" else [sys.executable]
    env = {**os.environ, "COLUMNS": "120"}
    return subprocess.run(
        [*words, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=500
    )


CASES = [(document, command, shown) for document in DOCUMENTS for command, shown in commands(document)]
STATUS = {
    "first.py:LRU_FIRST": 1,
    "mine.py:FORGETS": 1,
    "pipe.py:BARE": 1,
    "fold.py:DOUBLE": 1,
    'fold.py:ONCE "1: ': 1,
    "neighbour.py:HASTY": 1,
    "unlocked.py:NONE_LOCKED": 1,
    "explore v15 ": 1,
}


OF_PYTEST = (".hypothesis", ".pytest_cache", "broken")
"""What a command that runs pytest leaves; `broken` is the folder that it names for what breaks."""


def test_every_example_of_the_pages_is_found():
    assert {"first.py"} == set(files("README.md"))
    assert {"first.py", "mine.py", "test_mine.py", "pipe.py", "fold.py", "flags.py"} == set(files("docs/designs.md"))
    assert files("README.md")["first.py"] == files("docs/designs.md")["first.py"]
    said = {command.split()[1] for _, command, _ in CASES if command.startswith("pte-stress")}
    assert said == {"explore", "run", "hunt", "table", "layout", "list", "rss", "review"}
    assert sum(shown is not None for *_, shown in CASES) == 11


def check(command, shown, folder):
    """Perform a command, and hold what it prints against the lines that are shown; None: it prints something."""
    done = perform(command, folder)
    expected = next((status for design, status in STATUS.items() if design in command), 0)
    assert done.returncode == expected, done.stderr or done.stdout
    assert "Traceback" not in done.stderr
    assert done.stdout
    if shown is not None:
        assert is_shown(shown, done.stdout.splitlines()), done.stdout


@pytest.mark.parametrize(("document", "command", "shown"), CASES, ids=[f"{d}: {c}" for d, c, _ in CASES])
def test_a_command_prints_what_is_shown(document, command, shown, tmp_path):
    for name, text in files(document).items():
        (tmp_path / name).write_text(text)
    check(command, shown, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {*files(document), "__pycache__", *OF_PYTEST}


def code_of(example):
    """The text of an example after its docstring."""
    text = (ROOT / "examples" / example).read_text()
    return text[text.index('"""', 3) + 3 :].lstrip()


def test_the_tutorial_has_the_code_of_the_examples():
    found = files(TUTORIAL)
    assert set(found) == {"lru_first.py", "fold.py", "loose.py", "neighbour.py"}
    for name in found.keys() - {"loose.py"}:
        assert found[name] == f"# {name}\n{code_of(name)}"


@pytest.mark.parametrize("part", [1, 2, 3])
def test_a_part_of_the_tutorial_goes_as_it_is_written(part, tmp_path):
    """Its commands one after the other in one folder, with the files that the examples are."""
    text = (ROOT / TUTORIAL).read_text()
    for name in files(TUTORIAL):
        example = ROOT / "examples" / name
        (tmp_path / name).write_text(example.read_text() if example.exists() else files(TUTORIAL)[name])
    found = commands_in(text.split("\n## ")[part])
    assert len(found) >= 3
    for command, shown in found:
        check(command, shown, tmp_path)


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (["a", "b"], ["a", "", "b"], True),
        (["a"], ["a", "b"], False),
        (["a", "..."], ["a", "b"], True),
        (["...", "b"], ["a", "b"], True),
        (["...", "b"], ["a", "b", "c"], False),
        (["a", "...", "c"], ["a", "b", "d"], False),
        (["took 1.5 s"], ["took  22.25 s"], True),
        (["a", "b"], ["a"], False),
    ],
)
def test_comparing_what_is_shown(shown, printed, same):
    assert is_shown(shown, printed) is same


LOCKED = """
from shm_layout.atomic import cmpxchg, store
from shm_layout.registers import R_ADDRESS, R_MM
from shm_layout.structs import at, mm_struct
from stress.designs import get
from stress.kernel.spinlock import down_read, up_read
from stress.program import At
from stress.step import NEXT, WAIT, helper, label, step

MM_MINE = mm_struct.word("my_lock", "faults", "0 free")
EVEN = label("even_page")


@helper
def my_lock(m, mm):
    return at(m, MM_MINE, mm)


@step(private=True)
def if_odd(m, r):
    return NEXT if r[R_ADDRESS] % 2 == 1 else EVEN


@step(waits=True)
def lock_mine(m, r):
    return NEXT if cmpxchg(m, my_lock(m, r[R_MM]), 0, 1) == 0 else WAIT


@step
def unlock_mine(m, r):
    if r[R_ADDRESS] % 2 == 1:
        store(m, my_lock(m, r[R_MM]), 0)
    return NEXT


LOCKED = get("v12_sound").edit(
    name="locked",
    fault=lambda p: p.after(down_read, if_odd, lock_mine, At(EVEN)).before(up_read, unlock_mine),
)
KEPT = get("v12_sound").edit(name="kept", fault=lambda p: p.after(down_read, if_odd, lock_mine, At(EVEN)))
"""


def test_labels_helpers_and_waits_of_ones_own_in_all_engines(tmp_path):
    (tmp_path / "locked.py").write_text(LOCKED)
    mix = "--mix fault=6,statm=1 --operations 20000"
    for command, status, text in (
        ('explore locked.py:LOCKED "fault 1 w | fault 1 w | fault 0"', 0, "complete: every state"),
        (f"run --design locked.py:LOCKED {mix}", 0, "progress        holds"),
        ("table --design locked.py:LOCKED --pages 1000 --workers 1,2", 0, "fault/wsec"),
        ('explore locked.py:KEPT "fault 1 w | fault 1 w" --save kept.json', 1, "waits in lock_mine"),
        ("replay kept.json --allow-code", 1, "waits in lock_mine"),
    ):
        done = perform(f"pte-stress {command}", tmp_path)
        assert done.returncode == status, (command, done.stdout, done.stderr)
        assert text in done.stdout
