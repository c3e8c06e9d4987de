"""Memory that may be taken: what the machine has, the limits of cgroups, and room in /dev/shm."""

import os

import pytest

from shm_layout import available
from shm_layout.available import Room, memory_available, memory_charged
from shm_layout.errors import MachineError

GIB = 1 << 30


@pytest.fixture
def machine(tmp_path):
    """A fake /proc and cgroup mount: (files by name) -> memory_available()."""

    def make(cgroup, mount_line, **files):
        (tmp_path / "meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable: {8 * GIB // 1024} kB\n")
        (tmp_path / "cgroup").write_text(cgroup)
        (tmp_path / "mountinfo").write_text(mount_line.format(tmp_path / "fs"))
        for name, text in files.items():
            path = tmp_path / "fs" / name.replace("__", "/").replace("-", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return memory_available(tmp_path / "meminfo", tmp_path / "cgroup", tmp_path / "mountinfo")

    return make


V2 = "30 23 0:26 / {} rw,nosuid - cgroup2 cgroup2 rw\n"
V1 = "30 23 0:26 / {} rw,nosuid - cgroup cgroup rw,memory\n"
FILES = {"a__b__memory-max": "max", "a__b__memory-current": "5"}


def test_available_memory_is_at_most_that_of_the_machine():
    assert 0 < memory_available().available <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_cgroup2_limit_of_an_ancestor(machine):
    room = machine(
        "0::/a/b\n",
        V2,
        **FILES,
        **{
            "a__memory-max": f"{3 * GIB}",
            "a__memory-current": f"{2 * GIB}",
            "a__memory-stat": f"anon 5\ninactive_file {GIB // 2}\n",
        },
    )
    assert room.available == 3 * GIB // 2
    assert room.limited_by.endswith("/fs/a")


def test_cgroup2_without_limit(machine):
    assert machine("0::/a/b\n", V2, **FILES) == Room(8 * GIB, "the machine")


def test_cgroup1_limit(machine):
    room = machine(
        "4:memory:/a\n0::/\n",
        V1,
        **{"a__memory-limit_in_bytes": f"{GIB}", "a__memory-usage_in_bytes": f"{GIB + 1}"},
    )
    assert room.available == 0


def test_a_container_sees_its_own_cgroup_at_the_mount(machine):
    line = V2.replace("0:26 / ", "0:26 /docker/x ")
    room = machine("0::/\n", line, **{"memory-max": f"{GIB}", "memory-current": "0"})
    assert room.available == GIB


@pytest.mark.parametrize(
    "other",
    [
        b"31 23 0:27 / /srv rw - tmpfs  rw,size=1k\n",
        b"31 23 0:27 / /\xff\xfe rw - tmpfs none rw\n",
        b"31 23 0:27 / /a\\040b rw shared:1 - ext4 /dev/sda1 rw\n",
    ],
    ids=["nothing mounted", "no UTF-8", "blank"],
)
def test_other_mounts_do_not_matter(machine, tmp_path, other):
    limits = {"memory-max": f"{GIB}", "memory-current": "0"}
    machine("0::/\n", V2, **limits)
    (tmp_path / "mountinfo").write_bytes(other + (tmp_path / "mountinfo").read_bytes())
    room = memory_available(tmp_path / "meminfo", tmp_path / "cgroup", tmp_path / "mountinfo")
    assert room.available == GIB


def test_a_mount_point_with_a_blank(tmp_path):
    folder = tmp_path / "my cgroup"
    folder.mkdir()
    (folder / "memory.max").write_text(f"{GIB}\n")
    (folder / "memory.current").write_text("0\n")
    (tmp_path / "meminfo").write_text(f"MemAvailable: {8 * GIB // 1024} kB\n")
    (tmp_path / "cgroup").write_text("0::/\n")
    (tmp_path / "mountinfo").write_text(V2.format(str(folder).replace(" ", "\\040")))
    room = memory_available(tmp_path / "meminfo", tmp_path / "cgroup", tmp_path / "mountinfo")
    assert room == Room(GIB, f"cgroup {folder}")


def test_no_meminfo(tmp_path):
    with pytest.raises(MachineError, match="cannot tell the available memory"):
        memory_available(tmp_path / "none")


def test_room_in_shm_is_what_an_ordinary_user_may_take(monkeypatch):
    """Without the blocks that are kept for root, in the unit that they are counted in."""
    size = {available.SHM: os.statvfs_result((1 << 20, 4096, 100, 30, 20, 9, 9, 9, 0, 255))}
    monkeypatch.setattr(os, "statvfs", size.__getitem__)
    assert available.shm_available() == 20 * 4096


@pytest.mark.parametrize(
    ("cgroup", "mount", "charged"),
    [
        ("0::/a/b\n", V2, 5),
        ("4:cpu,memory:/a/b/c\n", V1, 7),
        ("0::/\n", V2, None),
        ("0::/none\n", V2, None),
    ],
)
def test_what_is_charged_to_a_cgroup(machine, tmp_path, cgroup, mount, charged):
    machine(cgroup, mount, **FILES, **{"a__b__c__memory-usage_in_bytes": "7"})
    assert memory_charged(tmp_path / "cgroup", tmp_path / "mountinfo") == charged
    assert memory_charged(tmp_path / "missing", tmp_path / "mountinfo") is None
