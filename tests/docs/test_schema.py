"""schema/ is what the script writes, and what commands print with --json is as the schemas say."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from stress.cli import main
from stress.commands.json_keys import KEYS
from stress.commands.json_schema import file_name, schema

ROOT = Path(__file__).parents[2]
QUICK = {
    "clean": ["clean"],
    "layout": ["layout", "--pages", "4"],
    "list designs": ["list", "designs"],
    "explore": ["explore", "v12", "fault 0 w | fault 0 w"],
}


def test_the_folder_is_what_the_script_writes(tmp_path):
    subprocess.run([sys.executable, ROOT / "scripts" / "schema.py", "--into", tmp_path], check=True, timeout=60)
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    kept = {path.name: path.read_text() for path in (ROOT / "schema").iterdir()}
    assert written == kept, "schema/ is out of date: run `python scripts/schema.py`"
    assert written.keys() == {file_name(command) for command in KEYS}


@pytest.mark.parametrize("command", KEYS)
def test_every_schema_is_valid_itself(command):
    Draft202012Validator.check_schema(schema(command))


@pytest.mark.parametrize("command", QUICK)
def test_what_is_printed_is_as_the_schema_says_and_what_is_spoilt_is_not(command):
    done = CliRunner().invoke(main, [*QUICK[command], "--json"])
    found = json.loads(done.stdout)
    validator = Draft202012Validator(schema(command))
    assert [error.message for error in validator.iter_errors(found)] == []
    for key in schema(command)["required"]:
        spoilt = copy.deepcopy(found)
        del spoilt[key]
        assert not validator.is_valid(spoilt)
    spoilt = copy.deepcopy(found)
    spoilt["about"]["machine"]["cpus"] = "many"
    assert not validator.is_valid(spoilt)
