"""What is published has absolute links and the project's URLs, and is built from the clone as it is."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def release():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import release
    finally:
        sys.path.pop(0)
    return release


def test_every_link_of_the_readme_is_absolute(release):
    text = release.absolute((ROOT / "README.md").read_text(), "https://h/blob/main")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 15
    assert all(link.startswith("https://") for link in links)
    assert release.absolute(text, "https://other") == text


def test_urls_are_in_the_metadata(release):
    found = tomllib.loads(release.with_urls((ROOT / "pyproject.toml").read_text(), "https://h", "https://h/p"))
    assert found["project"]["urls"]["Homepage"] == "https://h"
    assert found["project"]["scripts"] == {"pte-stress": "stress.cli:main"}


def test_what_is_no_url_is_refused(release):
    done = CliRunner().invoke(release.main, ["--home", "here"])
    assert (done.exit_code, "give a URL" in done.output) == (2, True)
