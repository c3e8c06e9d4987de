"""The examples do what their docstrings say, are short, and `pte-stress examples` writes them."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from shown_lines import is_shown

from stress import cli
from stress.commands.examples import example_files, title_of

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
FILES = sorted(path.name for path in EXAMPLES.glob("*.py"))
COMMAND = re.compile(r"^    \$ pte-stress (.*)\n((?:^    (?!\$).*\n)*)", re.MULTILINE)


def docstring(name):
    return ast.get_docstring(ast.parse((EXAMPLES / name).read_text()), clean=False) + "\n"


def commands(name):
    """The commands of an example, each with the last lines that are shown."""
    return [(found[1], [line[4:] for line in found[2].splitlines()]) for found in COMMAND.finditer(docstring(name))]


def perform(arguments, folder):
    command = f"{sys.executable} -m stress {arguments}"
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False, timeout=500
    )


def test_there_are_ten_examples_of_three_to_sixty_lines():
    assert len(FILES) == 10
    lengths = {}
    for name in FILES:
        text = (EXAMPLES / name).read_text()
        lengths[name] = len(text[text.index('"""', 3) + 3 :].strip().splitlines())
    assert min(lengths.values()) <= 5
    assert all(3 <= length <= 60 for length in lengths.values()), lengths


@pytest.mark.parametrize("name", FILES)
def test_an_example_does_what_its_docstring_says(name, tmp_path):
    shutil.copy(EXAMPLES / name, tmp_path)
    found = commands(name)
    assert found
    for arguments, shown in found:
        assert shown[-1] == "complete: every state that can be reached was visited"
        done = perform(arguments, tmp_path)
        assert is_shown(shown, done.stdout.splitlines()), done.stdout + done.stderr
        assert done.returncode == int(len(shown) > 2)  # a verdict stands before the last line: a check broke


def test_the_command_writes_all_examples_and_overwrites_no_edit(tmp_path):
    folder = tmp_path / "deep" / "folder"
    done = CliRunner().invoke(cli.main, ["examples", str(folder), "--format", "tsv"])
    assert done.exit_code == 0
    written = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    kept = {path.relative_to(EXAMPLES): path.read_bytes() for path in EXAMPLES.rglob("*") if path.is_file()}
    assert written == {path: text for path, text in kept.items() if "__pycache__" not in path.parts}
    assert all(str(folder / name) in done.stdout and title_of(EXAMPLES / name) in done.stdout for name in FILES)
    assert CliRunner().invoke(cli.main, ["examples", str(folder)]).exit_code == 0
    edited = folder / FILES[-1]
    edited.write_text("mine")
    (folder / FILES[0]).unlink()
    done = CliRunner().invoke(cli.main, ["examples", str(folder)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{edited} is there and is not the example" in done.stderr
    assert edited.read_text() == "mine"
    assert not (folder / FILES[0]).exists()


def test_the_documents_are_written_where_they_are_wanted(tmp_path):
    assert CliRunner().invoke(cli.main, ["examples", str(tmp_path / "none")]).exit_code == 0
    assert not (tmp_path / "none" / "docs").exists()
    assert CliRunner().invoke(cli.main, ["examples", str(tmp_path / "all"), "--docs"]).exit_code == 0
    kept = {path.relative_to(ROOT): path.read_bytes() for path in (ROOT / "docs").rglob("*") if path.is_file()}
    folder = tmp_path / "all"
    assert {path.relative_to(folder): path.read_bytes() for path in (folder / "docs").rglob("*.md")} == kept


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(cli.main, ["examples", str(tmp_path / "file" / "folder")])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


def test_the_installed_command_has_the_examples(tmp_path):
    """They lie above the packages in the repository, and are installed by a link within `stress`."""
    script = Path(sys.executable).parent / "pte-stress"
    subprocess.run([script, "examples", "here"], cwd=tmp_path, check=True, timeout=60, capture_output=True)
    written = {path.relative_to(tmp_path / "here") for path in (tmp_path / "here").rglob("*") if path.is_file()}
    assert written == set(example_files())
