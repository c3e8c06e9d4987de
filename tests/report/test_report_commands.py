"""Commands that write pages: a report with links that lead to the pages of the counterexamples beside it."""

import re
import shlex
from importlib.resources import files

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from stress.cli import main
from stress.commands.explore import explore, read_workload
from stress.commands.pictures import explore_command
from stress.explore.hunt.workloads import kinds_of, workloads
from stress.resolve import resolve_design

LINK = re.compile(r'<a href="([^"#]+)"')


def run(*args):
    return CliRunner().invoke(main, args)


def test_a_finding_has_a_page_and_its_point_stands_there(tmp_path):
    page, trace = tmp_path / "f11.html", tmp_path / "f11.json"
    done = run("review", "--finding", "F11", "--html", str(page), "--perfetto", str(trace))
    assert done.exit_code == 0, done.output
    text = page.read_text()
    assert "F11: lru_cache_add_active comes before page_add_anon_rmap" in text
    assert "vmscan can pick it" in text
    assert "Too early: CPU 1 sets page 1 mapcount" in text
    assert "pte-stress review --finding F11" in text
    assert '<span class="gone">- lru_cache_add_active</span>' in text
    assert "page_remove_rmap" in trace.read_text()


def test_a_finding_that_breaks_nothing_has_a_report(tmp_path):
    page = tmp_path / "f12.html"
    done = run("review", "--finding", "F12", "--html", str(page))
    assert done.exit_code == 0, done.output
    assert "1 of 1 findings shown" in page.read_text()
    assert list(tmp_path.iterdir()) == [page]


def test_a_hunt_links_to_a_page_of_each_find(tmp_path):
    page = tmp_path / "found.html"
    written = ("--html", str(page), "--mermaid", str(tmp_path / "first.mmd"))
    done = run("hunt", "v12", "--jobs", "1", "--seconds", "3", "--seed", "1", *written)
    assert done.exit_code == 1, done.output
    links = LINK.findall(page.read_text())
    assert links
    assert {tmp_path / link for link in links} == set(tmp_path.glob("found-*.html"))
    for link in links:
        text = (tmp_path / link).read_text()
        check = re.fullmatch(r"found-\d+-(\w+)\.html", link)[1]
        assert f"<strong>{check} breaks</strong>" in text
        assert "pte-stress explore v12" in text


def test_a_design_that_holds_has_a_report_and_no_trace(tmp_path):
    page, trace = tmp_path / "sound.html", tmp_path / "none.json"
    done = run("explore", "v12_sound", "fault 0 w | zap 0", "--html", str(page), "--perfetto", str(trace))
    assert done.exit_code == 0, done.output
    assert "complete: every state that can be reached was visited" in page.read_text()
    assert "v12_sound holds on fault 0 w | zap 0" in page.read_text()
    assert "--perfetto: nothing is written" in done.output
    assert not trace.exists()


@pytest.mark.parametrize("option", ["--perfetto", "--mermaid"])
def test_a_trace_is_of_one_finding(tmp_path, option):
    done = run("review", option, str(tmp_path / "all"))
    assert done.exit_code == 2
    assert "name a finding" in done.output


@given(st.data(), st.sampled_from(["64", "pae"]))
@settings(max_examples=100)
def test_the_command_on_a_page_gives_the_same_workload_again(data, arch):
    kinds = kinds_of(resolve_design(data.draw(st.sampled_from(["v12", "linux_6_8"]))))
    workload = data.draw(workloads(kinds, arch, batches=(2, 5)))
    if data.draw(st.booleans()):
        workload = workload.on(mmu=True, swap=3, frames=9, above_4g=False)
    program, name, *words = shlex.split(explore_command("my file.py:MINE", workload, "tso"))
    assert (program, name) == ("pte-stress", "explore")
    said = explore.make_context("explore", words).params
    assert (said["design"], said["memory"]) == ("my file.py:MINE", "tso")
    names = ("arch", "anon", "private_file", "shared_file", "mms", "frames", "swap", "batch", "mmu")
    fields = {name: said[name] for name in names}
    if said["below_4g"]:
        fields["above_4g"] = False
    again = read_workload(said["workload"], None, fields)
    # how many tasks a CPU has room for follows from the operations, and a drawn machine may have room for more
    assert again.on(task_depth=workload.machine.task_depth) == workload


def test_litmus_tests_have_a_page_with_their_final_states(tmp_path):
    folder, page = files("stress.examples") / "litmus", tmp_path / "litmus.html"
    done = run("litmus", str(folder / "SB.litmus"), str(folder / "MP.litmus"), "--html", str(page))
    assert done.exit_code == 0, done.output
    text = page.read_text()
    assert "2 litmus tests under tso" in text
    assert [text.count(f"<td>{verdict}</td>") for verdict in ("Sometimes", "Never")] == [2, 2]
    states = text.partition(">SB</h2>")[2].partition("</table>")[0]
    assert states.count("<tr>") == 1 + 4  # a head, and both, either or none of the threads see 0
    assert states.count("<td>holds</td>") == 1
