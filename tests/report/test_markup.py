"""Output for other programs is read back by parsers that are not ours: csv, html.parser, markdown-it."""

import csv
import io
import json
import os
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from stress import designs
from stress.cli import COMMANDS, main
from stress.commands.options import format_option
from stress.explore.counterexample.saved import save
from stress.explore.result import Violation
from stress.report.fitted import fitted
from stress.report.markup import MarkedUp
from stress.workload import Workload

LETTERS = st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp", "Zs"))
TEXT = st.text(LETTERS | st.sampled_from(" <>&|\"'*_`#-~\\[]"))
CELLS = TEXT | st.integers() | st.sampled_from(["1,234", "-12,345,678", "a\nb", "a\n  b\n", "#no comment", "<script>"])

ROWS = st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=5))


class Tables(HTMLParser):
    """The cells of all tables of a page, and which tags were left open."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.open, self.paragraphs = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag == "br":
            self.tables[-1][-1][-1] += "\n"
            return
        if tag != "meta":
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")
        elif tag == "p":
            self.paragraphs.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in {"td", "th"}:
            self.tables[-1][-1][-1] += data
        elif self.open and self.open[-1] == "p":
            self.paragraphs[-1] += data


def read_tsv(text):
    """The blocks of rows between empty lines; comments are left out."""
    blocks = [[]]
    for line in text.splitlines():
        if not line:
            blocks.append([])
        elif not line.startswith("#"):
            blocks[-1].append(line)
    return [list(csv.reader(block, dialect="excel-tab")) for block in blocks if block]


def read_html(text):
    parsed = Tables(text)
    assert parsed.open == []
    return parsed.tables


def read_markdown(text):
    return read_html(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))


READERS = {"tsv": read_tsv, "html": read_html, "github": read_markdown, "pipe": read_markdown}


def words_of(cell):
    """A cell without what a format may change: white space, and separators of thousands."""
    text = str(cell)
    grouped = "," in text and text.replace(",", "").removeprefix("-").isdigit()
    return (text.replace(",", "") if grouped else text).replace(";", " ").split()


def through(style, *texts):
    out = io.StringIO()
    stream = MarkedUp(out, style)
    try:
        for text in texts:
            print(text() if callable(text) else text, file=stream)
    finally:
        stream.end()
    return out.getvalue()


@settings(max_examples=60)
@pytest.mark.parametrize("style", READERS)
@given(ROWS, TEXT)
@example([["fault 0 w\n  page 1 flags: a|b", "1,234"], ["\t", '"']], "# <b>")
def test_what_is_printed_is_read_back(style, rows, sentence):
    heads = [f"head {i}" for i in range(len(rows[0]))]
    text = through(style, sentence, lambda: fitted(rows, heads, style=style), sentence)
    (table,) = READERS[style](text)
    assert [[words_of(cell) for cell in row] for row in table] == [
        [words_of(cell) for cell in row] for row in (heads, *rows)
    ]


def test_numbers_are_plain():
    rows = [{"states": "1,658", "ns": 1234.5678, "n": 10_000, "not": "1,2"}]
    assert fitted(rows, style="tsv", intfmt=",", floatfmt=",.1f") == "states\tns\tn\tnot\n1658\t1234.57\t10000\t1,2"


def test_sentences_of_a_page_are_paragraphs():
    text = through("html", "a < b", "", "<script>alert(1)</script>")
    assert Tables(text).paragraphs == ["a < b", "<script>alert(1)</script>"]
    assert "<script" not in text


@pytest.fixture(scope="module")
def counterexample(tmp_path_factory):
    """F11's, as it was found: 19 steps."""
    path = tmp_path_factory.mktemp("saved") / "f11.json"
    schedule = (0,) * 6 + (1,) * 13
    workload = Workload.parse("fault 0 w | swap_out")
    save(path, "v12", designs.get("v12"), workload, Violation("mapcount", schedule, False))
    return path


@pytest.mark.parametrize("style", READERS)
@pytest.mark.parametrize("options", [(), ("--diff",)])
def test_every_line_of_a_trace_is_a_row(style, options, counterexample):
    done = CliRunner().invoke(main, ["replay", str(counterexample), *options, "--format", style])
    (table,) = READERS[style](done.output)
    if options:
        assert ["19", "1", "page_remove_rmap", "page 1 mapcount", "0", "-1"] in table
    else:
        assert len(table) == 20
        last = ["page_remove_rmap", "page", "1", "mapcount:", "0", "->", "-1"]
        assert [words_of(cell) for cell in table[19]] == [["19"], [], last]


@pytest.mark.parametrize("style", READERS)
def test_several_tables_are_told_apart(style):
    out = CliRunner().invoke(main, ["layout", "--format", style]).output
    structures, fields = READERS[style](out)
    assert structures[0][:2] == ["structure", "offset"]
    assert len({len(row) for row in structures}) == len({len(row) for row in fields}) == 1
    assert ["page", "131104"] in [[row[0], row[4]] for row in structures]


@pytest.mark.parametrize("style", READERS)
def test_samples_of_a_process_are_rows(style):
    given = ["live", "--pid", str(os.getpid()), "--count", "2", "--interval", "0.1", "--format", style]
    head, *samples = READERS[style](CliRunner().invoke(main, given).output)[0]
    assert [dict(zip(head, sample, strict=True))["pid"] for sample in samples] == [str(os.getpid())] * 2


def test_json_is_left_alone():
    done = CliRunner().invoke(main, ["layout", "--json", "--format", "html"])
    assert json.loads(done.output)["placement"] == "posted"


def test_every_command_takes_the_same_option():
    """All that has --format has it from `format_option`, which is what sees to the sentences."""
    (wanted,) = format_option(lambda: None).__click_params__
    for name in COMMANDS:
        for parameter in main.get_command(None, name).params:
            if "--format" in parameter.opts:
                assert parameter.callback is wanted.callback, name
