"""The catalogue: every finding is shown, and one that is none is not."""

import json
import re
from dataclasses import replace

import pytest
from click.testing import CliRunner
from processes import without_compiling

from stress import designs, findings
from stress.checks import CHECKS
from stress.cli import main
from stress.commands.review_page import page
from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.explore import Bounds, explore
from stress.explore.result import INTERRUPTED
from stress.findings.finding import Case, Finding
from stress.findings.show import show
from stress.kernel.swap import mark_page_accessed
from stress.labels import DO_ANONYMOUS_PAGE
from stress.memory_model import NAMES

NAMED = ("F01", "F06", "F08", "F09", "F10", "F11", "F12", "F13", "F14", "F15")
"""The points of the review that exploring shows."""
BOUNDS = Bounds(states=2_000_000)
ALL = [findings.get(identifier) for identifier in findings.ids()]
PAIRS = [f for f in ALL if not f.equivalence]


def by_id(finding):
    return finding.id


def run(*arguments):
    return CliRunner().invoke(main, ["review", *map(str, arguments)])


def test_the_catalogue_has_what_the_review_names():
    assert set(NAMED) <= set(findings.ids())
    assert all(re.fullmatch(r"[FNRW]\d\d", i) for i in findings.ids())
    assert [f.id for f in ALL] == findings.ids()


@pytest.mark.parametrize("finding", ALL, ids=by_id)
def test_a_finding_is_shown(finding):
    shown = show(finding, BOUNDS)
    assert shown.ok, shown.wrong
    assert shown.corrected.complete
    assert shown.corrected.violations == ()
    assert all(r.complete and not r.violations for r in shown.harmless)
    if finding.equivalence:
        assert shown.posted.finals
    else:
        assert finding.check in CHECKS
        assert shown.posted.violation(finding.check)
    if finding.equivalence or finding.memory != "sc" or finding.shipped is None:
        assert shown.v12 is None
    else:
        assert shown.v12.violation(finding.check)


@pytest.mark.parametrize("finding", PAIRS, ids=by_id)
def test_the_same_check_breaks_when_it_is_the_only_one(finding):
    """The sentence "F11 breaks mapcount" does not hang on another check; those that end paths are reported, too."""
    case, checks = finding.case.parse(), [finding.check]
    result = explore(finding.posted(), case, checks=checks, bounds=BOUNDS, memory=finding.memory)
    broken = {v.check for v in result.violations}
    assert finding.check in broken
    assert not {"read_regular", "read_pair", "owner", "rss_exact", "anon_rss_exact"} & broken - {finding.check}


@pytest.mark.parametrize("finding", ALL, ids=by_id)
def test_the_pair_differs_in_one_named_edit(finding):
    posted, corrected = finding.posted(), finding.corrected()
    assert len(posted.edits) == len(corrected.edits) + 1
    assert posted.programs != corrected.programs
    assert corrected == finding.sound()
    assert finding.memory != "sc" or finding.shipped != "v12" or corrected == designs.get("v12_sound")


@pytest.mark.parametrize("finding", PAIRS, ids=by_id)
def test_a_finding_that_changes_nothing_is_not_shown(finding):
    shown = show(replace(finding, as_posted=lambda sound: sound), BOUNDS)
    assert not shown.ok
    assert shown.wrong == (f"as posted, {finding.check} holds",)


@pytest.mark.parametrize("finding", PAIRS, ids=by_id)
def test_a_finding_of_another_check_is_not_shown(finding):
    result = explore(finding.posted(), finding.case.parse(), bounds=BOUNDS, memory=finding.memory)
    broken = {v.check for v in result.violations}
    other = next(name for name in CHECKS if name not in broken)
    assert show(replace(finding, check=other), BOUNDS).wrong[0] == f"as posted, {other} holds"


def test_chapters_hold_every_finding_once():
    chapters = [findings.ids(chapter) for chapter in findings.CHAPTERS]
    assert [i for chapter in chapters for i in chapter] == findings.ids()
    assert all(chapters)


def test_a_chapter_is_shown_alone():
    done = run("--chapter", "races", "--json")
    assert done.exit_code == 0
    assert [row["id"] for row in json.loads(done.stdout)["findings"]] == findings.ids("races")


def test_a_chapter_and_a_finding_are_refused():
    done = run("--chapter", "races", "--finding", "F01")
    assert done.exit_code == 2


def test_where_the_fault_strikes_is_not_harmless():
    finding = findings.get("F11")
    shown = show(replace(finding, harmless=(("everywhere", finding.case),)), BOUNDS)
    assert not shown.ok
    assert "everywhere, mapcount breaks" in shown.wrong


def test_a_workload_that_v12_holds_shows_nothing():
    finding = findings.get("F11")
    shown = show(replace(finding, case=Case("fault 0 w", {"arch": "64"})), BOUNDS)
    assert shown.wrong == ("as posted, mapcount holds", "v12 as posted, mapcount holds on the same workload")


def test_an_exploration_that_did_not_finish_shows_nothing():
    shown = show(findings.get("F11"), Bounds(states=5))
    assert any("not explored completely" in sentence for sentence in shown.wrong)


def test_the_equivalence_fails_when_the_page_is_not_marked_at_all():
    finding = findings.get("F12")
    dropped = replace(
        finding,
        as_posted=lambda d: d.edit(
            "dropped", "", **everywhere(FAULTS, lambda p: p.drop(mark_page_accessed, within=DO_ANONYMOUS_PAGE))
        ),
    )
    assert show(dropped, BOUNDS).wrong == ("the sets of final page states differ",)


def test_the_equivalence_fails_when_one_side_breaks_a_check():
    finding = findings.get("F12")
    broken = replace(finding, as_posted=findings.get("F11").as_posted, case=findings.get("F11").case)
    assert "in the other order, mapcount breaks" in show(broken, BOUNDS).wrong


def cases():
    for finding in ALL:
        yield pytest.param(finding.case, id=finding.id)
        for number, (_, case) in enumerate(finding.harmless):
            yield pytest.param(case, id=f"{finding.id}-harmless{number}")


def test_an_exploration_that_was_interrupted_shows_nothing(monkeypatch):
    def interrupted(*args, **more):
        return replace(explore(*args, **more), complete=False, bound=INTERRUPTED)

    monkeypatch.setattr("stress.findings.show.explore", interrupted)
    with pytest.raises(KeyboardInterrupt):
        show(findings.get("N01"))


@pytest.mark.parametrize("case", list(cases()))
def test_a_design_under_one_lock_holds_every_case(case):
    workload = case.parse()
    used = {operation.name for operation in workload.operations()}
    alike = map(designs.get, ("page_table_lock", "linux_6_8", "tlb_batch", "thp", "mremap", "migration"))
    design = next(design for design in alike if used <= design.programs.keys())
    result = explore(design, workload, bounds=BOUNDS)
    assert result.complete
    assert result.violations == ()


# the command


def test_json_has_the_keys_of_the_issue():
    result = run("--json")
    assert result.exit_code == 0
    data = json.loads(result.stdout)
    assert list(data) == ["findings", "ok", "about"]
    assert data["ok"] is True
    assert [f["id"] for f in data["findings"]] == findings.ids()
    for found in data["findings"]:
        weaker = ["memory"] if findings.get(found["id"]).memory != "sc" else []
        assert list(found) == ["id", "title", *weaker, "as_posted", "corrected", "ok"]
        assert list(found["as_posted"]) == ["check", "length", "states", "seconds"]
        assert list(found["corrected"]) == ["complete", "states", "violations"]
        assert found["ok"] is True
        assert found["corrected"]["complete"] is True
        assert found["corrected"]["violations"] == []


def test_the_table_has_a_line_for_each_finding():
    result = run()
    assert result.exit_code == 0
    for identifier in findings.ids():
        assert re.search(rf"^{identifier} .* yes$", result.stdout, re.M)
    assert f"{len(ALL)} of {len(ALL)} findings shown" in result.stdout


def test_a_finding_as_a_page():
    result = run("--finding", "F11")
    assert result.exit_code == 0
    finding = findings.get("F11")
    for text in (finding.title, "workload: fault 0 w | swap_out", finding.edit, "CPU 0", "CPU 1", "mapcount: 0 -> -1"):
        assert text in result.stdout
    # The edit between the pair, as lines that went and came.
    assert re.search(r"^ *-lru_cache_add_active$", result.stdout, re.M)
    assert re.search(r"^ *\+lru_cache_add_active$", result.stdout, re.M)
    length = show(finding).posted.violation("mapcount").length
    assert re.search(rf"^as posted: .*mapcount in {length} steps", result.stdout, re.M)
    assert re.search(r"^corrected: all checks hold; \d+ states, \d+ transitions, complete", result.stdout, re.M)


@pytest.mark.parametrize("identifier", findings.ids())
def test_every_page_says_what_it_is_about(identifier):
    finding = findings.get(identifier)
    text = page(show(finding, BOUNDS), "simple")
    assert text.startswith(f"{identifier}: {finding.title}\n")
    assert str(finding.case.parse()) in text
    assert "NOT SHOWN" not in text


def test_a_page_says_why_a_finding_is_not_shown():
    finding = findings.get("F11")
    text = page(show(replace(finding, case=Case("fault 0 w", {"arch": "64"})), BOUNDS), "simple")
    assert "NOT SHOWN: as posted, mapcount holds" in text


def test_lower_case_is_as_good():
    assert run("--finding", "f11", "--json").exit_code == 0


@pytest.mark.parametrize("identifier", ["F99", "", "F11 ", "x"])
def test_unknown_findings_are_refused(identifier):
    result = run("--finding", identifier)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "no finding" in result.stderr


def test_a_finding_that_is_not_shown_is_a_failed_check(monkeypatch):
    broken = replace(findings.get("F11"), as_posted=lambda sound: sound)
    monkeypatch.setattr(findings, "get", lambda identifier: broken)
    table = run("--finding", "F11")
    assert table.exit_code == 1
    assert without_compiling(table.stderr) == ""
    assert "no operation differs" in table.stdout
    result = run("--finding", "F11", "--json")
    assert result.exit_code == 1
    data = json.loads(result.stdout)
    assert data["ok"] is False
    assert data["findings"][0]["as_posted"]["check"] is None


WEAK = [f for f in ALL if f.memory != "sc"]


@pytest.mark.parametrize("finding", WEAK, ids=by_id)
def test_a_missing_barrier_harms_nothing_under_a_stronger_model(finding):
    for memory in NAMES[: NAMES.index(finding.memory)]:
        shown = show(finding, BOUNDS, memory)
        assert shown.ok, shown.wrong
        assert shown.memory == memory
        assert shown.posted.complete
        assert shown.posted.violations == ()
    claimed = replace(finding, memory=NAMES[NAMES.index(finding.memory) - 1])
    assert f"as posted, {finding.check} holds" in show(claimed, BOUNDS).wrong


def test_what_is_claimed_to_need_a_weaker_model_is_not_shown_by_a_stronger_one():
    finding = replace(findings.get("W03"), memory="pso")
    assert show(finding, BOUNDS, "tso").wrong[0] == "as posted, rss_exact breaks under tso"


@pytest.mark.parametrize("identifier", ["F01", "F08", "F11", "F12", "N01", "N06"])
def test_corrected_designs_hold_under_weaker_models(identifier):
    shown = show(findings.get(identifier), BOUNDS, "pso")
    assert shown.ok, shown.wrong


@pytest.mark.parametrize(
    ("identifier", "said"),
    [
        ("W01", "it lacks smp_wmb before set_pte_low"),
        ("W03", "it lacks smp_mb before if_flagged"),
        ("W04", "it lacks smp_wmb before spin_unlock_plain"),
    ],
)
def test_the_missing_barrier_is_named(identifier, said):
    finding = findings.get(identifier)
    shown = show(replace(finding, sound=finding.posted, as_posted=lambda sound: sound), BOUNDS)
    assert f"corrected, {finding.check} breaks" in shown.wrong
    assert f"corrected, {said}" in shown.wrong


def test_review_under_one_memory_model():
    result = run("--memory", "tso", "--finding", "W01", "--json")
    assert result.exit_code == 0
    (found,) = json.loads(result.stdout)["findings"]
    assert (found["memory"], found["as_posted"]["check"]) == ("tso", None)
    result = run("--memory", "pso", "--finding", "W01")
    assert result.exit_code == 0
    assert "(arch pae, memory pso)" in result.stdout
    assert "drain" in result.stdout


def test_a_finding_is_data():
    assert all(isinstance(f, Finding) and f.point and f.title and f.edit for f in ALL)


def test_repeated_findings_are_all_shown():
    result = run("--finding", "F11", "--finding", "f12", "--json")
    assert [found["id"] for found in json.loads(result.stdout)["findings"]] == ["F11", "F12"]
    assert run("--finding", "F11", "--finding", "F99").exit_code == 2


def test_what_cannot_be_explored_has_a_page_that_says_why():
    result = run("--finding", "f17")
    assert (result.exit_code, "white space" in result.stdout) == (0, True)


@pytest.mark.parametrize("width", ["60", "90"])
def test_lines_of_a_page_end_at_words(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", width)
    lines = run("--finding", "N03").stdout.splitlines()
    after = lines[next(i for i, line in enumerate(lines) if line.startswith("as posted: rss_exact")) :]
    assert max(map(len, after)) <= int(width)
    text = " ".join(" ".join(after).split())
    assert "v12: rss_exact before the first step (by what comes before ||)" in text
    assert "27 steps, data_kept in 42 steps; 1,658 states" in text
