"""Pages in a real browser: they step, fit, are read by axe, ask for nothing, and what users name is text."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from stress import designs
from stress.cli import main
from stress.design import Edit
from stress.explore.counterexample.history import history
from stress.explore.counterexample.page import page
from stress.explore.counterexample.saved import save
from stress.explore.model.model import build
from stress.explore.result import Violation
from stress.report.plot import Bars, Panel
from stress.report.report import Link, Report, Section, Table, plots
from stress.workload import Workload

NAME = '<script>document.title="run"<b>&amp;'
SOURCE = '</script><script>document.title="run"</script><!-- {{ 1 }}'
F11 = Violation("mapcount", (0,) * 6 + (1,) * 13, False)
"""On V12, CPU 1 swaps the page out before CPU 0 has counted it."""
N03 = Violation("page_refs", (0, 0) + (1,) * 18 + (0, 0, 1, 1, 0, 0, 0), False)
"""On V12, do_wp_page reuses a page by an entry that is older than its lock."""
WIDTHS = (360, 800, 1600)


def f11():
    return history(build(designs.get("v12"), Workload.parse("fault 0 w | swap_out")), F11)


def n03():
    workload = Workload.parse("fault 0 w; swap_out; fault 0 || fault 0 w | swap_out; fault 1 w")
    return history(build(designs.get("v12"), workload), N03)


def named_by_a_user():
    """V12 under names that are markup, broken as V12 is."""
    design = replace(designs.get("v12"), name=NAME, summary=SOURCE, edits=(Edit(NAME, SOURCE),))
    found = history(build(design, Workload.parse("fault 0 w | swap_out")), F11)
    return page(found, command=f"pte-stress explore {NAME}", title=SOURCE, point=NAME, mended=designs.get("v12_sound"))


def report():
    """A report with all that a report can have."""
    rows = [{"id": Link("F11", "f11.html"), "what": NAME, "n": 12345}, {"id": "-", "what": "word " * 40, "n": None}]
    curves = {"v12": {1: 1e5, 2: 3e5, 4: 9e4}, NAME: {1: 2e5, 2: 1e5}}
    figures = plots("Two panels", Panel("Rate", "workers", "faults", curves), Bars("Error", "pages", {"a": 3, NAME: 0}))
    section = Section(SOURCE, [Table(rows, "Figures")], figures, before=[NAME], behind=[SOURCE])
    return Report("A report", "pte-stress rss --seed 1", [section], lead=NAME, verdict="broken", ok=False).html()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    texts = {"f11": page(f11(), command="pte-stress review --finding F11", mended=designs.get("v12_sound"))}
    texts["n03"] = page(n03(), command="pte-stress review --finding N03", mended=designs.get("v12_sound"))
    texts |= {"named": named_by_a_user(), "report": report()}
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text)
    return folder


@pytest.fixture
def shown(browser, pages):
    """Open a page at a width, in a scheme; at the end nothing may stand in the console or have been asked for."""

    def show(name, width=1600, scheme="light"):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        scheme = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        browser.get(f"file://{pages}/{name}.html")
        return browser

    for kind in ("browser", "performance"):
        browser.get_log(kind)
    yield show
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
    assert asked
    assert {url for url in asked if not url.startswith((f"file://{pages}/", "data:"))} == set()


def text(browser, selector):
    return browser.execute_script("return document.querySelector(arguments[0]).innerText", selector)


def current(browser):
    return browser.execute_script("return document.querySelector('[aria-current=step]').id")


def press(browser, *keys):
    from selenium.webdriver import ActionChains, Keys

    for key in keys:
        ActionChains(browser).send_keys(getattr(Keys, key, key)).perform()


def cell(browser, instance, field):
    """What the state shows of a field of an instance."""
    return browser.execute_script(
        """const [instance, field] = arguments;
        for (const table of document.querySelectorAll("#state table")) {
          const at = [...table.querySelectorAll("thead th")].findIndex((th) => th.textContent === field);
          const line = [...table.querySelectorAll("tbody tr")].find((tr) => tr.cells[0].textContent === instance);
          if (at >= 0 && line) return line.cells[at + 1].textContent;
        }""",
        instance,
        field,
    )


def test_keys_clicks_and_links_step_through_the_states(shown):
    browser, found = shown("f11"), f11()
    assert current(browser) == "start"
    assert cell(browser, "page 1", "mapcount") == "0"
    press(browser, "ARROW_RIGHT", "j", "ARROW_RIGHT")
    assert current(browser) == "step-3"
    assert cell(browser, "page 1", "count") == "0 → 1"
    press(browser, "k")
    assert (current(browser), cell(browser, "page 1", "count")) == ("step-2", "0")
    press(browser, "END")
    assert current(browser) == "step-19"
    assert cell(browser, "page 1", "mapcount") == "0 → -1"
    assert "Step 19 of 19: CPU 1, page_remove_rmap" in text(browser, "#now")
    assert "BUG_ON" in text(browser, "#source")
    press(browser, "HOME")
    assert current(browser) == "start"
    browser.find_element("css selector", "#forward").click()
    assert current(browser) == "step-1"
    browser.find_element("css selector", "#step-6 button").click()
    assert (current(browser), text(browser, "#source h4")) == ("step-6", "lru_cache_add_active")
    browser.find_element("css selector", ".story a").click()
    assert current(browser) == "step-19"
    for number, memory in enumerate(found.memories):  # each state, against the memory itself
        browser.execute_script("slider = document.getElementById('position'); slider.value = arguments[0];"
                               "slider.dispatchEvent(new Event('input'))", number)
        region = found.model.layout.regions["page"]
        for field in ("count", "mapcount"):
            shows = cell(browser, "page 1", field).split(" → ")[-1]
            assert shows == str(memory[region.index(1, field)]), (number, field)


def test_the_preparation_is_the_beginning(shown):
    browser = shown("n03")
    assert current(browser) == "prep-3"
    assert cell(browser, "pte 0:0", "pte") == "slot 0 → frame 1 y"
    press(browser, "ARROW_LEFT", "ARROW_LEFT")
    assert (current(browser), text(browser, "#now")) == ("prep-1", "beforehand, CPU 0 performs fault 0 w")
    assert cell(browser, "pte 0:0", "pte") == "none → frame 1 wdy"
    press(browser, "HOME")
    assert cell(browser, "pte 0:0", "pte") == "none"
    browser.find_element("css selector", "#step-2 button").click()
    assert cell(browser, "CPU 0", "entry") == "nothing → frame 1 y"
    press(browser, "END")
    assert cell(browser, "CPU 0", "entry") == "frame 1 y"
    assert cell(browser, "pte 0:0", "pte") == "slot 0"


def test_folds_and_filters_leave_rows_out_and_bring_them_back(shown):
    browser = shown("f11")
    visible = "return [...document.querySelectorAll('tr.step')].filter((r) => r.offsetParent).map((r) => r.id)"
    kept = browser.execute_script(visible)
    assert "step-19" in kept
    assert "step-14" not in kept
    browser.find_element("css selector", "#unfold").click()
    assert browser.execute_script(visible) == [f"step-{n}" for n in range(1, 20)]
    browser.find_element("css selector", "#filter option:nth-child(1)")
    browser.execute_script("f = document.getElementById('filter'); f.value = 'page 1 mapcount';"
                           "f.dispatchEvent(new Event('change'))")
    assert browser.execute_script(visible) == ["step-3", "step-19"]
    browser.execute_script("f.value = ''; f.dispatchEvent(new Event('change'))")
    browser.find_element("css selector", "#unfold").click()
    assert browser.execute_script(visible) == kept
    browser.execute_script("document.querySelector('tr.fold button').click()")
    assert set(browser.execute_script(visible)) > set(kept)
    assert browser.execute_script("return document.querySelectorAll('#arrows path.pair').length") == 1


def test_all_can_be_reached_by_keyboard_alone(shown):
    browser = shown("f11")
    reached = set()
    for _ in range(60):
        press(browser, "TAB")
        reached.add(browser.execute_script("const e = document.activeElement; return e.id || e.className || e.tagName"))
    assert {"back", "forward", "position", "filter", "unfold", "step", "side", "command"} <= reached
    press(browser, "ARROW_RIGHT")
    assert current(browser) == "step-1"


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["f11", "named", "report"])
def test_no_text_overflows(shown, name, width):
    browser = shown(name, width)
    press(browser, "END")
    wide = browser.execute_script(
        """const scrolls = (e) => e && (getComputedStyle(e).overflowX !== "visible" || scrolls(e.parentElement));
        return [...document.body.querySelectorAll("*")].filter((e) => e.checkVisibility() && !e.closest("svg")
          && e.innerText && !e.closest(".hidden") && !scrolls(e)
          && (e.getBoundingClientRect().right > innerWidth + 1
              || getComputedStyle(e).display !== "inline" && e.scrollWidth > e.offsetWidth + 1))
          .map((e) => e.tagName + "." + e.className + ": " + e.innerText.slice(0, 60));"""
    )
    assert wide == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", ["f11", "named", "report"])
def test_names_of_users_are_text(shown, name):
    browser = shown(name)
    assert browser.title != "run"
    if name == "named":
        assert text(browser, "h1") == SOURCE
        assert NAME in text(browser, ".kicker")
        assert NAME in text(browser, "main")
    if name == "report":
        assert NAME in text(browser, ".lead")
        assert NAME in text(browser, "table.figures")
        assert text(browser, "h2") == SOURCE


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "width"), [("f11", 1600), ("f11", 360), ("report", 800)])
def test_axe_finds_nothing_serious(shown, axe, name, width, scheme):
    browser = shown(name, width, scheme)
    press(browser, "END")
    browser.execute_script(axe)
    found = browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    serious = [v for v in found["violations"] if v["impact"] in {"serious", "critical"}]
    assert [(v["id"], [node["html"][:200] for node in v["nodes"]]) for v in serious] == []
    assert len(found["passes"]) > 15


def test_points_of_plots_say_their_values(shown):
    browser = shown("report")
    titles = browser.execute_script("return [...document.querySelectorAll('svg title')].map((t) => t.textContent)")
    assert f"{NAME}: 200,000 (faults) at 1 (workers)" in titles
    assert "a: 3 (pages)" in titles
    assert len(titles) == 5 + 2


def test_pages_are_small_and_stand_alone(pages):
    for path in pages.iterdir():
        written = path.read_text()
        assert len(written) < 300_000
        assert "http-equiv=\"Content-Security-Policy\"" in written
        assert 'src="' not in written


def test_replay_writes_pages_traces_and_diagrams(tmp_path):
    saved = tmp_path / "f11.json"
    save(saved, "v12", designs.get("v12"), Workload.parse("fault 0 w | swap_out"), F11)
    names = {option: tmp_path / f"found.{option}" for option in ("html", "perfetto", "mermaid")}
    options = [word for option, path in names.items() for word in (f"--{option}", str(path))]
    done = CliRunner().invoke(main, ["replay", str(saved), *options])
    assert done.exit_code == 1
    assert "pte-stress explore v12" in names["html"].read_text()
    assert json.loads(names["perfetto"].read_text())["otherData"]["check"] == "mapcount"
    assert names["mermaid"].read_text().startswith("sequenceDiagram\n")


@pytest.mark.parametrize("option", ["--html", "--perfetto", "--mermaid"])
@pytest.mark.parametrize("where", [".", "no/such/folder.html"])
def test_a_file_that_cannot_be_made_is_refused_before_anything_is_explored(tmp_path, option, where):
    done = CliRunner().invoke(main, ["explore", "v12", "fault 0 w | swap_out", option, str(tmp_path / where)])
    assert done.exit_code == 2
    assert f"{option} " in done.output
    assert "in a folder that is there" in done.output
