"""A machine that is unlike the one that figures were made on is said to be, in a line each."""

import platform
import sys

import pytest

from shm_layout.errors import MachineError
from stress import cli
from stress.system import machine_notes
from stress.system.machine_notes import machine_notes as notes


@pytest.mark.parametrize(
    ("arch", "line", "said"),
    [
        ("x86_64", "64\n", []),
        ("x86_64", "128\n", ["cache lines have 128 bytes here"]),
        ("aarch64", "64\n", ["this machine is aarch64"]),
        ("aarch64", "128\n", ["this machine is aarch64", "cache lines have 128 bytes here"]),
    ],
)
def test_what_differs_from_x86_is_said(arch, line, said, tmp_path, monkeypatch):
    (tmp_path / "line").write_text(line)
    monkeypatch.setattr(machine_notes, "LINE", tmp_path / "line")
    monkeypatch.setattr(platform, "machine", lambda: arch)
    found = notes()
    assert len(found) == len(said)
    assert all(part in note for note, part in zip(found, said, strict=True))


def test_a_line_that_nobody_knows_is_no_other_one(tmp_path, monkeypatch):
    monkeypatch.setattr(machine_notes, "LINE", tmp_path / "none")
    monkeypatch.setattr(machine_notes.os, "sysconf", lambda name: 0)
    assert machine_notes.line_bytes() is None


def test_a_32_bit_python_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    with pytest.raises(MachineError, match="use a 64-bit Python"):
        cli._check_machine()
