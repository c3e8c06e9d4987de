"""What a process has in /dev/shm."""

import os

from shm_layout.available import SHM
from shm_layout.creator import creator_of


def made_by(pid):
    """Return the names of what process `pid` created in /dev/shm and did not remove."""
    return sorted(f for f in os.listdir(SHM) if (creator_of(f) or (None,))[0] == pid)
