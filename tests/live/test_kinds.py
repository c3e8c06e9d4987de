"""Whether pages of a file count as RssFile or RssShmem: learned by mapping them."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from stress.live.reading import kinds
from stress.live.reading.kinds import Kinds, look

OVERLAY = """
set -e
mount -t tmpfs none {folder}
mkdir {folder}/upper {folder}/work {folder}/lower {folder}/merged
mount -t overlay overlay -o lowerdir={lower},upperdir={folder}/upper,workdir={folder}/work {folder}/merged
echo x > {folder}/merged/new
exec {python} -c '
from stress.live.reading.kinds import look
for name in ("below", "new"):
    with open("{folder}/merged/" + name, "rb") as file:
        print(name, look(file.fileno())[1])
'
"""


@pytest.fixture
def memory():
    fd = os.memfd_create("kinds")
    os.write(fd, b"x")
    yield fd
    os.close(fd)


@pytest.fixture
def real():
    """A file whose pages the kernel counts as file, which needs no folder of the tests."""
    fd = os.open(sys.executable, os.O_RDONLY)
    yield fd
    os.close(fd)


def test_the_kernel_says_how_it_counts_a_page(memory, real):
    assert look(memory)[1] is True
    assert look(real)[1] is False


def test_what_cannot_be_mapped_is_not_told(tmp_path):
    with open(tmp_path / "empty", "wb") as empty, open("/dev/null", "rb") as device:
        assert look(empty.fileno()) is None
        assert look(device.fileno()) is None


def test_counters_that_do_not_move_tell_nothing(monkeypatch, real):
    monkeypatch.setattr(kinds, "_file_and_shmem", lambda: (0, 0))
    assert look(real) is None
    monkeypatch.setattr(kinds, "_file_and_shmem", lambda: None)
    assert look(real) is None


def test_a_file_is_known_by_how_maps_shows_it(memory, real):
    known = Kinds()
    assert known.learn(real) is False
    (device, inode), _ = look(real)
    assert known.is_shmem(device, inode, b"/nowhere (deleted)") is False
    (device, inode), _ = look(memory)
    assert Kinds().is_shmem(device, inode, b"/memfd:kinds (deleted)") is True


def test_a_named_file_is_looked_at_not_its_device(monkeypatch, real):
    (device, inode), _ = look(real)
    monkeypatch.setattr(kinds, "shmem_devices", lambda: frozenset({device.decode()}))
    path = os.path.realpath(sys.executable).encode()
    assert Kinds().is_shmem(device, inode, path) is False
    assert Kinds().is_shmem(device, inode, path + kinds.DELETED) is True  # nothing better is known


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
def test_an_overlay_over_a_tmpfs_has_both_kinds():
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory(dir="/var/tmp") as lower:
        (Path(lower) / "below").write_bytes(b"x")
        script = OVERLAY.format(folder=folder, lower=lower, python=sys.executable)
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False, timeout=60
        )
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"no overlay can be mounted here: {done.stderr.strip()}")
    assert done.stdout == "below False\nnew True\n", done.stderr
