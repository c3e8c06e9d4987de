"""Links between the documents lead somewhere, the glossary is complete, and the README is short."""

import re
from pathlib import Path

import pytest

from stress.checks import CHECKS
from stress.operation import OPERATIONS

ROOT = Path(__file__).parents[2]
PAGES = [str(page.relative_to(ROOT)) for page in sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))]
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
TERM = re.compile(r"^## (.+)\n\n((?:.+\n)+)", re.MULTILINE)


def text_of(page):
    return (ROOT / page).read_text()


def anchor(heading):
    """The anchor of a heading as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def terms():
    return {found[1]: " ".join(found[2].split()) for found in TERM.finditer(text_of("docs/glossary.md"))}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_what_is_there(page):
    for link in LINK.findall(FENCED.sub("", text_of(page))):
        if "://" in link:
            continue
        file, _, place = link.partition("#")
        target = (ROOT / page).parent / file if file else ROOT / page
        assert target.exists(), link
        assert not place or place in map(anchor, HEADING.findall(FENCED.sub("", target.read_text()))), link


@pytest.mark.parametrize("walk", ["A walk from `pte-stress explore`", "A walk from `pte-stress run`"])
def test_a_walk_enters_each_file_once(walk):
    text = text_of("docs/architecture.md").partition(f"## {walk}")[2].partition("\n## ")[0]
    entered = re.findall(r"^\d+\. `([\w./]+\.py)`", text, re.MULTILINE)
    assert len(entered) > 10
    assert len(set(entered)) == len(entered)


def test_the_readme_is_short_and_its_first_screen_shows_a_counterexample():
    lines = text_of("README.md").splitlines()
    assert len(lines) <= 120
    screen = "\n".join(lines[:34])
    for wanted in ("pte-stress run", "pytest", "<!-- tests -->", "$ pte-stress explore", "CPU 1", "mapcount: 0 -> -1"):
        assert wanted in screen


def test_terms_are_in_alphabetical_order_and_short():
    found = terms()
    assert list(found) == sorted(found, key=str.lower)
    sentences = {term: len(re.findall(r"[.](?=\s|$)", text)) for term, text in found.items()}
    assert {term: count for term, count in sentences.items() if not 2 <= count <= 4} == {}


def test_every_check_operation_and_rule_of_a_step_is_in_the_glossary():
    found = terms()
    assert {*CHECKS, *OPERATIONS, "private", "whole", "late"} <= set(found)
