"""Diagrams of Mermaid: the lines are those of a sequence diagram, and say what the counterexample says."""

import re
from dataclasses import replace

from stress import designs
from stress.explore.counterexample.history import history
from stress.explore.counterexample.mermaid import mermaid
from stress.explore.model.model import build
from stress.explore.result import Violation
from stress.workload import Workload

LINE = re.compile(
    r"    (title [^;#]+|participant C\d as CPU \d|C\d->>C\d: [^;#<>{}]+"
    r"|Note over C\d(,C\d)?: [^;#<>{}]+(<br/>[^;#<>{}]+)*)"
)
F11 = Violation("mapcount", (0,) * 6 + (1,) * 13, False)


def drawn(**named):
    design = replace(designs.get("v12"), **named)
    return mermaid(history(build(design, Workload.parse("fault 0 w | swap_out")), F11))


def test_each_line_is_one_of_a_sequence_diagram():
    first, *lines = drawn(name="a;b#c<script>{%d}").splitlines()
    assert first == "sequenceDiagram"
    assert [line for line in lines if not LINE.fullmatch(line)] == []


def test_it_says_who_saw_whose_write_and_what_conflicts():
    text = drawn()
    assert "participant C1 as CPU 1" in text
    assert "C0->>C1: page 1 mapcount of step 3" in text
    assert "19 page_remove_rmap<br/>page 1 mapcount: 0 \u2192 -1<br/>CONFLICT" in text
    assert "Note over C0: too late: page_add_anon_rmap" in text
    assert "read_mm_rss" not in text
    assert "steps without influence" in text
