"""`pte-stress man` writes a page for each command, which troff reads without a warning."""

import shutil
import subprocess

import pytest
from click.testing import CliRunner

from stress.cli import COMMANDS, main
from stress.commands.man import roff


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("man") / "man1"
    assert CliRunner().invoke(main, ["man", str(folder)]).exit_code == 0
    return folder


def test_every_command_and_every_option_has_its_place(pages):
    assert {page.name for page in pages.iterdir()} == {"pte-stress.1", *(f"pte-stress-{name}.1" for name in COMMANDS)}
    for name in COMMANDS:
        text = (pages / f"pte-stress-{name}.1").read_text()
        for parameter in main.get_command(None, name).params:
            for option in parameter.opts if parameter.param_type_name == "option" else ():
                assert roff(option) in text, (name, option)
    whole = (pages / "pte-stress.1").read_text()
    assert all(f"\\fB{name}\\fR" in whole for name in COMMANDS)


def test_what_troff_would_take_for_its_own_is_escaped():
    assert roff(".TH\n'x \\fB --all") == "\\&.TH\n\\(aqx \\efB \\-\\-all"


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_troff_reads_them_without_a_warning(pages):
    for page in pages.iterdir():
        done = subprocess.run(
            ["groff", "-man", "-ww", "-z", page], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(main, ["man", str(tmp_path / "file" / "folder")])
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
