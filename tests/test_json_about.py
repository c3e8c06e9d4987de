"""What made an output: in every command that prints JSON, once."""

import datetime
import json
import os
import platform

import pytest
from click.testing import CliRunner

import stress
from stress.cli import main

QUICK = {
    "clean": ["clean", "--json"],
    "layout": ["layout", "--pages", "4", "--json"],
    "list": ["list", "designs", "--json"],
}


@pytest.mark.parametrize("name", QUICK)
def test_an_object_says_what_made_it(name):
    done = CliRunner().invoke(main, QUICK[name])
    assert done.exit_code == 0, done.output
    about = json.loads(done.stdout)["about"]
    assert list(about) == ["version", "command", "seed", "machine", "kernel", "date"]
    assert about["version"] == stress.__version__
    assert about["command"] == " ".join(["pte-stress", *QUICK[name]])
    assert about["seed"] is None
    assert about["machine"]["cpus"] == len(os.sched_getaffinity(0))
    assert about["machine"]["page_bytes"] == os.sysconf("SC_PAGE_SIZE")
    assert platform.release() in about["kernel"]
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(about["date"])
    assert datetime.timedelta(0) <= age < datetime.timedelta(minutes=5)


def test_of_several_lines_the_first_says_it():
    done = CliRunner().invoke(main, ["live", "--pid", str(os.getpid()), "--count", "2", "--interval", "0.1", "--json"])
    assert done.exit_code == 0, done.output
    first, second = map(json.loads, done.stdout.splitlines())
    assert "about" in first
    assert "about" not in second


def test_the_seed_that_was_drawn_is_said():
    done = CliRunner().invoke(main, ["explore", "v12_sound", "statm", "--json"])
    again = json.loads(done.stdout)["about"]
    assert isinstance(again["seed"], int)


def test_no_command_prints_json_by_itself():
    folder = os.path.dirname(stress.__file__) + "/commands"
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py") and name != "json_output.py":
            with open(f"{folder}/{name}") as file:
                assert "echo(json.dumps" not in file.read(), name
