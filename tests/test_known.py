"""`--known` makes failures that are known no news, `--junit` writes what CI servers read, and `--color` colours."""

import json
import xml.etree.ElementTree as ET

import pytest
from click.testing import CliRunner
from junitparser import JUnitXml

from shm_layout.errors import UsageError
from stress.cli import main
from stress.commands.known import read_known
from stress.report.case import BROKEN, OPEN, Case

LITMUS = """C SB
{}
P0(int *x, int *y) { int r0; WRITE_ONCE(*x, 1); r0 = READ_ONCE(*y); }
P1(int *x, int *y) { int r0; WRITE_ONCE(*y, 1); r0 = READ_ONCE(*x); }
exists (0:r0=0 /\\ 1:r0=0)
"""
BREAKS = ("explore", "v12", "fault 0 w | swap_out")


def invoke(*words, color=False):
    return CliRunner().invoke(main, [str(word) for word in words], color=color)


def known(tmp_path, found):
    file = tmp_path / "known.json"
    file.write_text(found if isinstance(found, str) else json.dumps(found))
    return file


def test_only_what_is_not_in_the_baseline_is_a_failure(tmp_path):
    found = json.loads(invoke(*BREAKS, "--json").stdout)
    whole = known(tmp_path, found)
    done = invoke(*BREAKS, "--known", whole)
    assert (done.exit_code, "new failures: none" in done.stdout) == (0, True)
    missed = found["violations"].pop()["check"]
    done = invoke(*BREAKS, "--known", known(tmp_path, found), "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["known"]["new"] == [f"v12: {missed}"]
    # the same checks of another workload are no part of it
    assert invoke("explore", "v12", "fault 0 w; zap 0 | swap_out", "--known", whole).exit_code == 1


def test_what_save_wrote_is_a_baseline_for_a_hunt(tmp_path):
    assert invoke(*BREAKS, "--save", tmp_path / "found.json").exit_code == 1
    check = json.loads((tmp_path / "found.json").read_text())["check"]
    entries = read_known(tmp_path).entries
    assert [(entry["design"], entry["check"]) for entry in entries] == [("v12", check)]
    hunt = ("hunt", "v12", "--first", "--seed", "1", "--seconds", "20", "--check", check)
    first = json.loads(invoke(*hunt, "--json").stdout)
    assert {v["check"] for v in first["violations"]}
    named = {"known": [{"design": "v12", "check": v["check"]} for v in first["violations"]]}
    assert invoke(*hunt, "--known", known(tmp_path, named)).exit_code == 0


def test_a_finding_and_a_litmus_test_can_be_known(tmp_path):
    review = {"findings": [{"id": "F11", "ok": False}, {"id": "F12", "ok": True}], "ok": False}
    found = read_known(known(tmp_path, review))
    assert found.has({"finding": "F11"})
    assert not found.has({"finding": "F12"})
    assert not found.has({"design": "v12", "check": "mapcount"})
    (tmp_path / "SB.litmus").write_text(LITMUS)
    (tmp_path / "expected.csv").write_text("SB,Never\n")
    litmus = ("litmus", tmp_path / "SB.litmus", "--expect", tmp_path / "expected.csv")
    as_json = invoke(*litmus, "--json")
    assert as_json.exit_code == 1
    assert invoke(*litmus, "--known", known(tmp_path, as_json.stdout)).exit_code == 0
    assert invoke(*litmus, "--known", known(tmp_path, as_json.stdout), "--memory", "pso").exit_code == 1


def test_a_run_and_the_log_of_a_soak_are_baselines(tmp_path):
    run = {"design": "v12", "arch": "64", "checks": [{"name": "mapcount", "ok": False}, {"name": "owner", "ok": True}]}
    log = "\n".join(
        json.dumps(line)
        for line in (
            {"totals": {}},
            {"round": 7, "design": "v12", "ok": False, "broken": ["owner"]},
        )
    )
    marks = {"design": ("v12", "mine.py:V12"), "arch": "64", "memory": "sc"}
    assert read_known(known(tmp_path, run)).has({**marks, "check": "mapcount"})
    assert not read_known(known(tmp_path, run)).has({**marks, "check": "owner"})
    assert not read_known(known(tmp_path, run)).has({**marks, "check": "mapcount", "arch": "pae"})
    assert read_known(known(tmp_path, log)).has({**marks, "check": "owner"})


@pytest.mark.parametrize(
    "text",
    ["", "[1]", '{"a": 1}', "no JSON", '{"known": [{"chekc": "x"}]}', '{"known": [{"design": "v12"}]}', "[" * 9000],
)
def test_another_file_is_refused_in_a_line(tmp_path, text):
    file = known(tmp_path, text)
    if text == "":
        assert read_known(file).entries == ()
        return
    with pytest.raises(UsageError, match="--known"):
        read_known(file)


def test_junit_says_what_broke_what_is_known_and_what_is_open(tmp_path):
    file = tmp_path / "found.xml"
    found = json.loads(invoke(*BREAKS, "--json").stdout)
    broken = {v["check"] for v in found["violations"]}
    assert invoke(*BREAKS, "--junit", file).exit_code == 1
    (suite,) = JUnitXml.fromfile(str(file))
    assert {case.name for case in suite if case.result} == broken
    assert (suite.failures, suite.skipped) == (len(broken), 0)
    assert suite.tests > len(broken)
    invoke(*BREAKS, "--junit", file, "--known", known(tmp_path, found), "--max-states", "20")
    invoke(*BREAKS, "--junit", file, "--known", known(tmp_path, found))
    root = ET.parse(file).getroot()
    assert (root.tag, root.get("failures"), root.get("skipped")) == ("testsuites", "0", str(len(broken)))
    invoke("explore", "v12_sound", "fault 0 w | swap_out", "--max-states", "20", "--junit", file)
    messages = {skipped.get("message") for skipped in ET.parse(file).iter("skipped")}
    assert messages == {"not complete: the bound on states was reached: raise it with --max-states"}


def test_what_xml_cannot_hold_is_left_out(tmp_path):
    import click

    from stress.commands.junit import junit_xml

    cases = [Case("a\x1b", "b & <c>", BROKEN, "\x00 ]]> \x1b[31m", {}), Case("a\x1b", "d", OPEN)]
    with click.Context(main, info_name="explore"):
        text = junit_xml(cases, lambda case: False, 1.5)
    root = ET.fromstring(text)
    assert root.find("testsuite/testcase").get("name") == "b & <c>"
    assert root.find("testsuite/testcase/failure").text == "? ]]> ?[31m"


def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    done = invoke(*BREAKS, "--junit", tmp_path / "none" / "found.xml")
    assert (done.exit_code, done.stdout) == (2, "")


@pytest.mark.parametrize(
    ("words", "no_color", "coloured"),
    [((), "", True), ((), "1", False), (("--color", "never"), "", False), (("--color", "always"), "1", True)],
)
def test_colours_follow_the_option_then_no_color(monkeypatch, words, no_color, coloured):
    monkeypatch.setenv("NO_COLOR", no_color)
    shown = invoke(*BREAKS, *words, color=True).stdout
    assert ("\x1b[31mbroken in" in shown) is coloured


def test_a_pipe_has_colours_only_where_they_are_wanted():
    assert "\x1b" not in invoke(*BREAKS).stdout
    assert "\x1b[31mbroken in" in invoke(*BREAKS, "--color", "always").stdout
    assert "\x1b" not in invoke(*BREAKS, "--color", "always", "--format", "tsv").stdout
