"""Helpers for the tests of `pte-stress live`: the command as its own process, and a process to look at."""

import subprocess
import sys
import textwrap

import pytest


@pytest.fixture
def start_live():
    """Start the command as a process of its own; killed at the end if it still runs."""
    started = []

    def start(*args, before=(), **options):
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "stress", "live", *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def run_live(start_live):
    """Run the command to its end: (status, stdout, stderr)."""

    def run(*args, **options):
        process = start_live(*args, **options)
        out, err = process.communicate(timeout=150)
        return process.returncode, out, err

    return run


@pytest.fixture
def refused(run_live):
    """Run the command, which must fail with a status and say why in one line that holds some words."""

    def run(status, words, *args, **options):
        got, out, err = run_live(*args, **options)
        assert got == status, err
        assert not out.strip() or "--pid" in map(str, args), out
        assert len(err.strip().splitlines()) == 1, err
        assert words in err, err
        assert "Traceback" not in err
        return err

    return run


@pytest.fixture
def start_python():
    """Start a Python process that prints one line when it is ready and then waits; ended with the test."""
    started = []

    def start(code):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code) + "\nprint('ready', flush=True)\ninput()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
