"""Memory that may be used: what is available, the limits of cgroups, and what is refused."""

import pytest

from stress.errors import MachineError, UsageError
from stress.live.machine import MIB, Room, available_memory, grant_memory, kernel_version

GIB = 1 << 30


@pytest.fixture
def machine(tmp_path):
    """A fake /proc and cgroup mount: (files by name) -> available_memory()."""

    def make(cgroup, mount_line, **files):
        (tmp_path / "meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable: {8 * GIB // 1024} kB\n")
        (tmp_path / "cgroup").write_text(cgroup)
        (tmp_path / "mountinfo").write_text(mount_line.format(tmp_path / "fs"))
        for name, text in files.items():
            path = tmp_path / "fs" / name.replace("__", "/").replace("-", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return available_memory(tmp_path / "meminfo", tmp_path / "cgroup", tmp_path / "mountinfo")

    return make


V2 = "30 23 0:26 / {} rw,nosuid - cgroup2 cgroup2 rw\n"
V1 = "30 23 0:26 / {} rw,nosuid - cgroup cgroup rw,memory\n"
FILES = {"a__b__memory-max": "max", "a__b__memory-current": "5"}


def test_this_machine():
    room = available_memory()
    assert 0 < room.available < 1 << 50


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


def test_no_meminfo(tmp_path):
    with pytest.raises(MachineError, match="cannot tell the available memory"):
        available_memory(tmp_path / "none")


def test_grants():
    room = Room(4 * GIB, "the machine")
    assert grant_memory(None, 256, MIB, room) == 256 * MIB
    assert grant_memory(None, 4096, MIB, room) == GIB
    assert grant_memory(None, 16, 100 * MIB, room) == 100 * MIB
    assert grant_memory(1024, 256, MIB, room) == GIB
    with pytest.raises(UsageError, match=r"--memory 1025 is more than a quarter of the 4096 MiB .* at most 1024"):
        grant_memory(1025, 256, MIB, room)
    with pytest.raises(UsageError, match="at least 3 MiB"):
        grant_memory(2, 256, 2 * MIB + 1, room)
    with pytest.raises(MachineError, match="cgroup /x"):
        grant_memory(None, 256, 200 * MIB, Room(400 * MIB, "cgroup /x"))


def test_kernel_versions():
    assert kernel_version("6.12.39-2-amd64") == (6, 12, 39)
    assert kernel_version("6.16-rc6") == (6, 16, 0)
    assert kernel_version("2.6.34") == (2, 6, 34)
    with pytest.raises(MachineError, match="version number"):
        kernel_version("next")
