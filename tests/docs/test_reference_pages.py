"""docs/reference is what the code says, and what it says of --json is what the commands print."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from stress import cli
from stress.commands.json_keys import KEYS
from stress.commands.list import TABLES
from stress.findings.measurement import Measured, Measurement
from stress.kernel import swap
from stress.report.about import about

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None)}


def test_the_reference_is_what_the_script_writes(tmp_path):
    command = [sys.executable, ROOT / "scripts" / "reference.py", "--into", tmp_path]
    subprocess.run(command, check=True, timeout=60)
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    kept = {path.name: path.read_text() for path in (ROOT / "docs" / "reference").iterdir()}
    assert written.keys() == kept.keys()
    for name, text in written.items():
        assert text == kept[name], f"docs/reference/{name} is out of date: run `python scripts/reference.py`"


def test_a_changed_docstring_changes_the_reference(monkeypatch):
    sys.path.insert(0, str(ROOT / "scripts"))
    monkeypatch.setattr(swap.mark_page_accessed, "__doc__", "Something | else.\n\nMore.")
    try:
        from reference import page_of_table
    finally:
        sys.path.pop(0)
    assert "| `mark_page_accessed` | Something \\| else. |" in page_of_table("steps")


def test_every_command_with_json_is_in_the_reference():
    named = {command.split()[0] for command in KEYS}
    assert named == {name for name in cli.COMMANDS if re.search("^ +--json ", help_of(name), re.MULTILINE)}
    assert {f"list {table}" for table in TABLES} <= KEYS.keys()


def help_of(command):
    return CliRunner().invoke(cli.main, [command, "--help"]).output


def values(found, path=""):
    """The values of an object by their paths, those in lists under ``[]``; an empty list or object has its path."""
    if isinstance(found, dict):
        for key, value in found.items():
            yield from values(value, f"{path}.{key}" if path else key)
    elif isinstance(found, list):
        for value in found:
            yield from values(value, f"{path}[]")
    else:
        yield path, found


def wrong_keys(command, objects):
    """What these objects have that the reference does not say, and what it says and they lack."""
    keys = KEYS[command]
    patterns = {k: re.compile(re.escape(k.path).replace(r"\*", "[^.]+(?:[.]\\d+)?")) for k in keys}
    wrong = []
    lists = [path for o in objects for path in empty_lists(o)]
    for one in objects:
        for path, value in values(one):
            known = next((k for k, pattern in patterns.items() if pattern.fullmatch(path)), None)
            if known is None:
                wrong.append(f"{path} is not in the reference")
                continue
            types = re.split(r", | or ", known.type)
            if not any(isinstance(value, TYPES[t]) and (t == "boolean" or type(value) is not bool) for t in types):
                wrong.append(f"{path} is {value!r}, not {known.type}")
    seen = {path for one in objects for path, _ in values(one)}
    for k, pattern in patterns.items():
        may_lack = not k.always or any(k.path.startswith(f"{path}[]") for path in lists)
        if not may_lack and not any(pattern.fullmatch(path) for path in seen):
            wrong.append(f"{k.path} is not printed")
    return wrong


def empty_lists(found, path=""):
    if isinstance(found, dict):
        for key, value in found.items():
            yield from empty_lists(value, f"{path}.{key}" if path else key)
    elif isinstance(found, list):
        if not found:
            yield path
        for value in found:
            yield from empty_lists(value, f"{path}[]")


PRINTED = [
    ("explore", 'explore first.py:LRU_FIRST "fault 0 w | swap_out" --save found.json', 1),
    ("run", "run --seconds 0.2", 0),
    ("hunt", "hunt first.py:LRU_FIRST --seconds 30 --first --seed 1", 1),
    ("litmus", f"litmus {ROOT / 'examples' / 'litmus' / 'SB.litmus'}", 0),
    ("review", "review --finding F11", 0),
    ("rss", "rss --counter percpu --updates 1000", 0),
    ("table", "table --pages 1000 --workers 1 --rep 1", 0),
    ("scale", "scale --design v12 --cpus 2 --faults 64", 0),
    ("litmus", f"litmus {ROOT / 'examples' / 'litmus' / 'SB.litmus'} --run --seconds 0.2", 0),
    ("live", "live --rounds 1", 0),
    ("live --pid", f"live --pid {'{pid}'} --count 2 --interval 0.01", 0),
    ("live --explain", "live --explain", 0),
    ("live --table", "live --table --kind anon --mode threads --workers 1 --repeat 1 --memory 220", 0),
    ("live --compare", "live --compare --scripts 1", 0),
    ("examples", "examples here", 0),
    ("layout", "layout", 0),
    ("results", "results r.sqlite --add one.json --add two.json", 0),
    ("results --compare", "results r.sqlite --add one.json --add two.json --compare 1 2", 0),
    ("results --figure", "results r.sqlite --add one.json --figure bytes", 0),
    ("clean", "clean", 0),
    *((f"list {table}", f"list {table}", 0) for table in TABLES),
]


def printed(line, status, folder):
    """The objects that a command prints with --json."""
    words = [sys.executable, "-m", "stress", *shlex.split(line.format(pid=os.getpid())), "--json"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == status, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("command", "line", "status"), PRINTED, ids=[command for command, *_ in PRINTED])
def test_what_a_command_prints_with_json_is_in_the_reference(command, line, status, tmp_path):
    for name, size in (("one", 1), ("two", 2)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"bytes": size, "about": about("0", "pte-stress clean", 1)}))
    (tmp_path / "first.py").write_text(re.search(r"^```python\n(# first.py\n.*?)^```", README, re.M | re.S)[1])
    assert wrong_keys(command, printed(line, status, tmp_path)) == []
    if command == "explore":
        assert wrong_keys("replay", printed("replay found.json --allow-code --states", 1, tmp_path)) == []


def test_every_command_of_the_reference_is_compared():
    assert {*KEYS} == {"replay", *(command for command, *_ in PRINTED)}


def test_what_review_prints_of_a_measurement_is_in_the_reference(monkeypatch):
    rows = ({"counter": "a", "workers": 1, "faults, M/s": 2.5, "of": None},)

    quick = Measurement("F05", "a title", "a question", lambda effort, seed: Measured(rows, ("more",)))
    monkeypatch.setattr("stress.findings.measurement.get_measurement", lambda name: quick)
    done = CliRunner().invoke(cli.main, ["review", "--finding", "F05", "--json"])
    assert wrong_keys("review", [json.loads(done.stdout)]) == []
    assert json.loads(done.stdout)["measurements"][0]["rows"] == list(rows)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda o: o.pop("bytes"), "bytes is not printed"),
        (lambda o: o.update(more=1), "more is not in the reference"),
        (lambda o: o.update(bytes="many"), "bytes is 'many', not integer"),
        (lambda o: o.update(bytes=True), "bytes is True, not integer"),
        (lambda o: o.update(removed=[{"name": "x", "bytes": 1, "pid": 1}]), "removed[].what is not printed"),
    ],
)
def test_what_the_reference_does_not_say_is_seen(spoil, said):
    good = {"removed": [], "bytes": 0, "about": about("0.1.0", "pte-stress clean", None)}
    assert wrong_keys("clean", [good]) == []
    spoil(good)
    assert said in wrong_keys("clean", [good])
