"""Packages of many files say what each file is, and the hosted CI does what `.ci/run` does."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "package_readmes.py"
READMES = sorted(path for name in ("stress", "shm_layout") for path in (ROOT / name).rglob("README.md"))
IDS = [str(path.parent.relative_to(ROOT)) for path in READMES]


def check(root):
    command = [sys.executable, root / "scripts" / SCRIPT.name, "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_every_package_of_many_files_lists_them():
    done = check(ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    many = [f.parent for name in ("stress", "shm_layout") for f in (ROOT / name).rglob("__init__.py")]
    assert {f for f in many if len(list(f.glob("*.py"))) > 10} <= {path.parent for path in READMES}


def test_a_file_that_is_not_listed_and_a_package_without_a_readme_are_seen(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    (tmp_path / "shm_layout").mkdir()
    shutil.copytree(ROOT / "stress" / "system", tmp_path / "stress" / "system")
    assert check(tmp_path).returncode == 0
    (tmp_path / "stress" / "system" / "new.py").write_text('"""Something new."""\n')
    done = check(tmp_path)
    assert (done.returncode, "out of date: stress/system" in done.stderr) == (1, True)
    (tmp_path / "stress" / "system" / "README.md").unlink()
    assert "say what the package is" in check(tmp_path).stderr


@pytest.mark.parametrize("readme", READMES, ids=IDS)
def test_files_that_a_readme_names_are_there(readme):
    by_hand = readme.read_text().partition("<!-- Below")[0]
    named = re.findall(r"`([\w/]+(?:\.py|/))`", by_hand)
    assert len(named) >= 3 or readme.parent.name == "system"
    assert [name for name in named if not (readme.parent / name).exists() and not (ROOT / name).exists()] == []
    links = re.findall(r"\]\(([^)#]+)", by_hand)
    assert [link for link in links if not (readme.parent / link).exists()] == []


def test_the_hosted_ci_runs_what_everybody_runs():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert re.findall(r"- run: (.*)", text) == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
