"""The command `litmus`, as a user calls it."""

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from mutated import mutated

from stress.cli import main
from stress.litmus.outcomes import Bounds, outcomes
from stress.litmus.reading import read_test
from stress.litmus.unsupported import Unsupported

GALLERY = Path(__file__).parents[2] / "examples" / "litmus"
SB = GALLERY / "SB.litmus"


def run(*arguments, given=None):
    return CliRunner().invoke(main, ["litmus", *map(str, arguments)], input=given)


def test_one_file_is_printed_as_herd7_does():
    done = run(SB)
    assert done.exit_code == 0
    assert "Observation SB Sometimes 1 3" in done.stdout


def test_standard_input_without_a_newline_at_its_end():
    done = run("-", "--memory", "sc", given=SB.read_text().rstrip())
    assert done.exit_code == 0
    assert "Observation SB Never 0 3" in done.stdout


def test_folder_is_compared_with_expected_verdicts(tmp_path):
    same = run(GALLERY, "--memory", "pso", "--expect", GALLERY / "pso.csv")
    assert same.exit_code == 0
    assert "0 differ" in same.stdout
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("SB,Never\nMP,Never\n")
    other = run(GALLERY, "--memory", "tso", "--expect", wrong)
    assert other.exit_code == 1
    assert "SB      Never       Sometimes" in other.stdout
    assert "2 of 2 expected verdicts compared, 1 differ" in other.stdout


def test_json_is_one_object_a_line_and_test(tmp_path):
    bad = tmp_path / "bad.litmus"
    bad.write_text("C bad\n{}\nP0(int *x)\n{\n\tdo { } while (1);\n}\nexists (x=0)\n")
    done = run(SB, bad, "--json")
    first, second = map(json.loads, done.stdout.splitlines())
    assert done.exit_code == 0
    assert (first["name"], first["supported"], first["observation"]) == ("SB", True, "Sometimes")
    assert (second["name"], second["supported"], second["observation"], second["ok"]) == ("bad", False, None, None)
    assert "line 5, column 2: not supported: loops" in second["reason"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("C bad\n{}\nP0(int *x)\n{\n\tgoto out;\n}\n", "line 5, column 2: not supported: loops"), ("\x00", "no text")],
)
def test_status_2_where_nothing_could_be_read(tmp_path, text, said):
    bad = tmp_path / "bad.litmus"
    bad.write_text(text)
    done = run(bad)
    assert done.exit_code == 2
    assert said in done.stderr
    assert str(bad) in done.stderr


@pytest.mark.parametrize("csv", ["SB\n", "SB,Perhaps\n", "SB,Never\nSB,Always\n", ""])
def test_expectations_that_are_none(tmp_path, csv):
    file = tmp_path / "e.csv"
    file.write_text(csv)
    assert run(SB, "--expect", file).exit_code == 2


def test_mutations_end_in_a_verdict_or_a_refusal():
    rng = random.Random(14)
    texts = [file.read_text() for file in sorted(GALLERY.glob("*.litmus"))]
    refused = read = 0
    for _ in range(400):
        text = mutated(rng, rng.choice(texts), rng.choice(texts))
        try:
            found = outcomes(read_test(text, "mutated"), "tso", Bounds(seconds=5))
        except Unsupported:
            refused += 1
        else:
            assert len(found.states) == found.positive + found.negative
            read += 1
    assert refused > 50
    assert read > 50


def test_promela_names_the_threads_and_the_claim(tmp_path):
    file = tmp_path / "SB.pml"
    assert run(SB, "--promela", file).exit_code == 0
    text = file.read_text()
    assert "proctype P1()" in text
    assert "assert(!((r0[0] == 0) && (r1[0] == 0)))" in text
    assert run(GALLERY, "--promela", file).exit_code == 2


SCRIPT = Path(__file__).parents[2] / "scripts" / "litmus_designs.py"
AS_DESIGNS = ["litmus/SB.litmus", "litmus/MP+wmb+rmb.litmus", "litmus/x86-SB+locked.litmus", "protocols/ticket.litmus"]


def test_the_explorer_finds_the_final_states_of_tests_as_designs():
    files = [str(GALLERY.parent / name) for name in AS_DESIGNS]
    done = subprocess.run([sys.executable, SCRIPT, *files], capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout == "12 compared, 0 differ\n", done.stderr
    assert done.returncode == 0


def test_a_test_as_a_design_shows_its_lines_and_its_condition(tmp_path):
    file = tmp_path / "sb.py"
    assert run(SB, "--design", file).exit_code == 0
    text = file.read_text()
    assert '"""P0, line 15: r0 = READ_ONCE(*y);"""' in text
    assert 'variable("0:r0", "a register of the litmus test")' in text
    assert text.count('"""At rest: exists 0:r0=0 /\\\\ 1:r0=0"""') == 1
    assert run(GALLERY, "--design", file).exit_code == 2


@pytest.mark.parametrize(("name", "says"), [("litmus/RCU-MP", "RCU"), ("protocols/mcs", "an address as a value")])
def test_what_no_design_can_be_made_of_is_named_with_its_place(name, says, tmp_path):
    done = run(GALLERY.parent / f"{name}.litmus", "--design", tmp_path / "it.py")
    assert done.exit_code == 2
    assert re.search(rf"line \d+, column \d+: not supported: {says} with --design", done.stderr)
    assert not (tmp_path / "it.py").exists()
