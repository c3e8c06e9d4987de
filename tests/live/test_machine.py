"""Memory that may be used, what is refused, and the numbers of kernels."""

import pytest

from shm_layout.available import Room
from shm_layout.errors import MachineError, UsageError
from stress.live.reading.machine import MIB, grant_memory, kernel_version

GIB = 1 << 30


def test_memory_is_granted_up_to_a_share_of_the_room():
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
