"""A browser for the tests of pages: Debian's chromium, headless; what needs it is skipped where it is missing."""

import importlib.resources
import os
import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def browser():
    """A driver of a headless browser that may not reach any network."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is missing: pip install 'pte-stress[test]'")
    from selenium.common.exceptions import WebDriverException

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    try:
        opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    except WebDriverException as error:
        pytest.skip(f"the browser does not start: {error.msg}")
    opened.set_page_load_timeout(60)
    yield opened
    opened.quit()


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core, an accessibility checker: of AXE_CORE, or as axe-selenium-python brings it along."""
    if named := os.environ.get("AXE_CORE"):
        return Path(named).read_text(encoding="utf-8")
    try:
        folder = importlib.resources.files("axe_selenium_python")
        return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
    except (ImportError, OSError):
        pytest.skip("axe-core is missing: pip install axe-selenium-python, or AXE_CORE=.../axe.min.js")
