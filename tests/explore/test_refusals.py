"""What Numba alone can refuse is one line with the step's file and line, in every command that compiles."""

import re

import pytest
from click.testing import CliRunner
from processes import without_compiling

from stress.cli import main
from stress.compiling.modules import in_words

HEAD = """\
from dataclasses import replace
from shm_layout.registers import R_MM, R_VALUE
from stress.checks import HOLDS
from stress.designs import get
from stress.kernel.rmap import page_add_anon_rmap
from stress.step import NEXT, helper, step

def check(m):
    return HOLDS

@helper
def short(x):
    return len(x)

"""
TAIL = """
BASE = get("v12_sound").edit("e", "w", name="mine", fault=lambda p: p.after(page_add_anon_rmap, odd))
D = replace(BASE, checks=(check,))
"""
NOP = "@step\ndef odd(m, r):\n    return NEXT\n"
STEPS = {
    "len of words": ("    r[R_VALUE] = len(m)\n    return NEXT\n", 17, r"step odd does not compile: .*len\(words\)"),
    "a text in a word": ("    r[R_VALUE] = 'x'\n    return NEXT\n", 17, "Cannot cast .* to int64"),
    "None in a word": ("    r[R_VALUE] = None\n    return NEXT\n", 17, "Cannot cast none to int64"),
    "an unknown method": (
        "    r[R_VALUE] = r[R_MM].bit_length()\n    return NEXT\n",
        17,
        "Unknown attribute 'bit_length'",
    ),
    "a helper that does not": ("    r[R_VALUE] = short(m)\n    return NEXT\n", 17, r"step odd does not compile"),
    "a number that is called": ("    r[R_VALUE] = NEXT()\n    return NEXT\n", 17, "step odd does not compile"),
}
CHECKS = {
    "a truth of a helper": ("def check(m):\n    x = m[1] == 0\n    return x\n", "check check returns True or False"),
    "a float": ("def check(m):\n    x = 1.5 * m[1]\n    return x\n", "check check returns float64"),
    "None at times": ("def check(m):\n    x = None\n    if m[1]:\n        x = 3\n    return x\n", "check check"),
    "a text": ("def check(m):\n    x = 'x'\n    return x\n", "check check returns"),
}


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def refused(done, said, place=None):
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert without_compiling(done.stderr).count("\n") == 1
    assert re.search(said, done.stderr), done.stderr
    if place:
        assert done.stderr.startswith(f"pte-stress: error: {place}: ")


@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_numba_refuses_is_one_line(tmp_path, name):
    body, line, said = STEPS[name]
    path = tmp_path / "mine.py"
    path.write_text(f"{HEAD}@step\ndef odd(m, r):\n{body}{TAIL}")
    refused(run("explore", f"{path}:D", "fault 0 w | zap 0"), said, f"{path}, line {line}")


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_that_returns_no_number_is_one_line_each_time(tmp_path, name):
    check, said = CHECKS[name]
    path = tmp_path / "mine.py"
    path.write_text(f"{HEAD}{NOP}{check}{TAIL}")
    for _ in range(2):  # nothing of it is kept on disk
        refused(run("explore", f"{path}:D", "fault 0 w | zap 0"), said, f"{path}, line 18")


@pytest.mark.parametrize(
    "command",
    [
        ("explore", "{}", "fault 0 w"),
        ("hunt", "{}", "--seconds", "1"),
        ("run", "--design", "{}", "--seconds", "1"),
        ("table", "--design", "{}", "--pages", "100", "--workers", "1"),
    ],
    ids=lambda command: command[0],
)
def test_every_command_that_compiles_refuses_in_one_line(tmp_path, command):
    path = tmp_path / "mine.py"
    # A file of other contents: one that was loaded before is known by its contents.
    path.write_text(f"{HEAD}@step\ndef odd(m, r):\n{STEPS['len of words'][0]}{TAIL}# {command[0]}\n")
    done = run(*(word.format(f"{path}:D") for word in command))
    assert done.exit_code == 2, done.output
    assert f"pte-stress: error: {path}, line 17: step odd does not compile" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "told", "place"),
    [
        (
            "Failed in nopython mode pipeline (step: x)\n\x1b[1mUnknown attribute 'a' of type int64*\n\nDuring: typing "
            "of get attribute at /a b/c.py (12)",
            "Unknown attribute 'a' of type words",
            "/a b/c.py, line 12",
        ),
        (
            "Use of unsupported opcode (IMPORT_NAME) found. Raised from /x/y.py (3)",
            "Use of unsupported opcode (IMPORT_NAME) found",
            "/x/y.py, line 3",
        ),
        (
            "No implementation of function F found for signature:\n \n >>> len(int64*)\n",
            "No implementation of function F found for signature: len(words)",
            "",
        ),
        ("Cannot cast none to int64: i8* null", "Cannot cast none to int64", ""),
        ("Type of x cannot be determined, location: /x/y.py (3)", "Type of x cannot be determined", ""),
        ("", "ValueError", ""),
    ],
)
def test_the_first_sentence_of_numba_is_told(text, told, place):
    assert in_words(ValueError(text)) == (told, place)
