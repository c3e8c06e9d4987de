"""What one hunt found is another one's first example: in a folder that both can reach, or on a Redis server."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shm_layout.errors import MachineError, UsageError
from stress import designs
from stress.cli import main
from stress.explore.hunt.databases import shared_database

DESIGN = designs.get("v12")
FILE = """\
from stress.designs import get
from stress.kernel.rmap import page_add_anon_rmap
from stress.kernel.swap import lru_cache_add_active
from stress.labels import DO_ANONYMOUS_PAGE

MINE = get("v12_sound").edit(
    "lru_first", "x", name="shared_hunt",
    fault=lambda p: p.swap(lru_cache_add_active, page_add_anon_rmap, within=DO_ANONYMOUS_PAGE),
)
"""


def hunt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str, where: str, seed: int) -> Result:
    """Hunt as on a machine of its own, with a cache of its own for finds."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / machine))
    file = tmp_path / "mine.py"
    file.write_text(FILE)
    line = ["hunt", f"{file}:MINE", "--seconds", "100", "--first", "--jobs", "1", "--database", where, "--json"]
    return CliRunner().invoke(main, [*line, "--seed", str(seed)])


def found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    first = hunt(tmp_path, monkeypatch, "one", where, 1)
    again = hunt(tmp_path, monkeypatch, "other", where, 2)
    assert (first.exit_code, again.exit_code) == (1, 1), (first.output, again.output)
    one, other = json.loads(first.stdout), json.loads(again.stdout)
    assert other["violations"][0]["workload"] == one["violations"][0]["workload"]
    assert other["workloads"] < one["workloads"]


def test_a_folder_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found_again(tmp_path, monkeypatch, str(tmp_path / "shared" / "finds"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server here")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}"
        process.terminate()


def test_a_redis_server_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    found_again(tmp_path, monkeypatch, server)


def test_no_server_is_an_error_of_the_machine() -> None:
    with pytest.raises(MachineError, match="no server answers"):
        shared_database("redis://127.0.0.1:1", DESIGN)


@pytest.mark.parametrize("where", ["redis://127.0.0.1:port", "redis://127.0.0.1:6379/?db=x"])
def test_an_address_that_is_none_is_refused(where: str) -> None:
    with pytest.raises(UsageError, match="--database redis://127"):
        shared_database(where, DESIGN)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is no folder: name one"):
        shared_database(str(tmp_path / "file"), DESIGN)


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(UsageError, match=r"pip install 'pte-stress\[redis\]'"):
        shared_database("redis://127.0.0.1", DESIGN)
