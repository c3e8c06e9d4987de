"""Tables as wide as the terminal: nothing is lost, nothing is wider than it must be, markup is left alone."""

import os
import subprocess
import sys
from textwrap import dedent

import pytest
import tabulate
from hypothesis import given, settings
from hypothesis import strategies as st

from stress.report.fitted import MARKUP, NARROWEST, fitted, narrower, terminal_width, wrapped

WORDS = st.text("abcd+/_-.", min_size=1, max_size=9)
CELLS = st.lists(WORDS, max_size=12).map(" ".join) | st.integers(-9999, 9999) | st.none()


@st.composite
def bodies(draw):
    columns = draw(st.integers(1, 4))
    heads = draw(st.lists(WORDS.map(str.strip), min_size=columns, max_size=columns, unique=True))
    rows = draw(st.lists(st.lists(CELLS, min_size=columns, max_size=columns), min_size=1, max_size=5))
    return heads, rows


def letters(text):
    return sorted(text.replace(" ", "").replace("\n", ""))


@settings(max_examples=60)
@given(bodies(), st.integers(1, 120))
def test_nothing_is_lost_and_what_fits_is_as_ever(body, width):
    heads, rows = body
    asever = tabulate.tabulate(rows, heads, tablefmt="plain", disable_numparse=True, missingval="?")
    found = fitted(rows, heads, style="plain", width=width, disable_numparse=True, missingval="?")
    assert letters(found) == letters(asever)
    if max(map(len, asever.splitlines())) <= width:
        assert found == asever
    if width >= 4 * NARROWEST + 6:
        assert max(map(len, found.splitlines())) <= width


@settings(max_examples=60)
@given(st.lists(st.lists(WORDS, max_size=9).map(" ".join), max_size=4).map("\n".join), st.integers(10, 60))
def test_words_are_broken_only_where_they_must(text, width):
    lines = wrapped(text, width).splitlines()
    assert all(len(line) <= width for line in lines)
    assert " ".join(lines).split() == text.split()


def test_long_words_are_broken_at_their_joints():
    assert wrapped("  page 1 flags: lru+active+referenced -> lru", 16).splitlines() == [
        "  page 1 flags:",
        "    lru+active+",
        "    referenced",
        "    -> lru",
    ]


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=6), st.integers(-5, 200))
def test_the_widest_become_narrower(pairs, excess):
    widths, floors = [max(pair) for pair in pairs], [min(pair) for pair in pairs]
    found = narrower(widths, floors, excess)
    lowest = [min(floor, NARROWEST) for floor in floors]
    assert all(low <= new <= old for low, new, old in zip(lowest, found, widths, strict=True))
    taken = sum(widths) - sum(found)
    assert taken == min(max(excess, 0), sum(widths) - sum(lowest))
    if taken <= sum(widths) - sum(floors):
        assert all(new >= floor for new, floor in zip(found, floors, strict=True))


@pytest.mark.parametrize("style", ["latex", *sorted(MARKUP)])
def test_markup_is_left_alone(style):
    rows = [{"name": "a b c " * 9, "n": 1}]
    assert fitted(rows, style=style, width=20) == tabulate.tabulate(rows, headers="keys", tablefmt=style)


@pytest.mark.parametrize("style", ["simple", "grid", "psql", "pretty", "rounded_outline"])
def test_formats_for_people_fit(style):
    rows = [{"name": "a bc def " * 9, "n": 1000, "what": "xyz " * 9}, {"name": "short", "more": 2.5}]
    assert max(map(len, fitted(rows, style=style, width=50).splitlines())) <= 50
    assert max(map(len, fitted(rows, style=style, width=0).splitlines())) > 50


def test_fitting_leaves_padding_of_tabulate_as_it_was():
    before = tabulate.MIN_PADDING
    fitted([["a b"] * 9], list("abcdefghi"), style="simple", width=20)
    assert before == tabulate.MIN_PADDING


@pytest.mark.parametrize(("columns", "width"), [("80", 80), ("100", 100), ("", 0), ("junk", 0), ("-1", 0)])
def test_columns_says_how_wide_it_is(columns, width):
    code = "from stress.report.fitted import terminal_width; print(terminal_width())"
    env = {**os.environ, "COLUMNS": columns}
    done = subprocess.run([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True, check=True)
    assert int(done.stdout) == width


def test_a_table_of_a_command_fits_its_columns(monkeypatch):
    command = [sys.executable, "-m", "stress", "layout"]
    narrow, wide = (
        subprocess.run(command, env={**os.environ, "COLUMNS": c}, capture_output=True, text=True, check=True).stdout
        for c in ("80", "")
    )
    assert max(map(len, narrow.splitlines())) <= 80 < max(map(len, wide.splitlines()))
    assert letters(narrow.replace("-", "")) == letters(wide.replace("-", ""))
    monkeypatch.setenv("COLUMNS", "33")
    assert terminal_width() == 33


def test_an_explored_schedule_keeps_its_indentation():
    cell = dedent(
        """\
        ptep_cmpxchg
          page 1 flags: lru+active -> lru+active+referenced"""
    )
    found = fitted([[1, cell, ""]], ["", "CPU 0", "CPU 1"], style="simple", width=40)
    assert found.splitlines()[2:] == [
        "1  ptep_cmpxchg",
        "     page 1 flags: lru+active ->",
        "       lru+active+referenced",
    ]
