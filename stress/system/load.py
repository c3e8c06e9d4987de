"""Whether the machine was busy with something else while a figure was taken: /proc/stat and the load."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

STAT = Path("/proc/stat")
IDLE, IOWAIT, STEAL = 3, 4, 7
"""Fields of the line ``cpu``, see proc(5)."""
BUSY_STEAL = 0.02
"""Share of the time of all CPUs that a hypervisor took: above it figures are of no quiet machine."""
BUSY_OTHERS = 0.1
"""Share that other processes took."""


@dataclass(frozen=True)
class Load:
    """What went on from one moment to another. Shares are of the time of all CPUs; None where nobody says."""

    average: float
    """Load average of the last minute, processes."""
    cpus: int
    steal: float | None
    """Time in which the hypervisor ran somebody else."""
    others: float | None
    """Time in which other processes ran than this one and its children."""

    @property
    def busy(self) -> bool:
        """Whether figures that were taken meanwhile are of a machine that was not quiet."""
        return (self.steal or 0) > BUSY_STEAL or (self.others or 0) > BUSY_OTHERS

    def as_json(self) -> dict[str, float | bool | None]:
        """What --json prints."""
        shares = {"steal": self.steal, "others": self.others}
        rounded = {name: None if share is None else round(share, 3) for name, share in shares.items()}
        return {"average": round(self.average, 2), **rounded, "busy": self.busy}

    def __str__(self) -> str:
        """Say it in a sentence."""
        said = [f"load {self.average:.1f} on {self.cpus} CPUs"]
        said += [] if self.steal is None else [f"{self.steal:.0%} of their time stolen"]
        said += [] if self.others is None else [f"{self.others:.0%} taken by other processes"]
        how = "the machine was busy" if self.busy else "the machine was quiet"
        return f"{how}: {', '.join(said)}"


@dataclass(frozen=True)
class _Times:
    total: int
    idle: int
    steal: int


def _times() -> _Times | None:
    try:
        fields = [int(word) for word in STAT.read_text().splitlines()[0].split()[1:9]]
        return _Times(sum(fields), fields[IDLE] + fields[IOWAIT], fields[STEAL])
    except (OSError, ValueError, IndexError):
        return None


def _own() -> float:
    times = os.times()
    return (times.user + times.system + times.children_user + times.children_system) * os.sysconf("SC_CLK_TCK")


class LoadWatch:
    """Watches from when it is made until `load` is called. Children count when they have ended."""

    def __init__(self) -> None:
        """Begin."""
        self._before, self._own = _times(), _own()

    def load(self, own_ticks: float = 0.0) -> Load:
        """Say what went on since then. ``own_ticks``: clock ticks of processes of this program that are no children."""
        average, cpus = os.getloadavg()[0], os.cpu_count() or 1
        before, now = self._before, _times()
        if before is None or now is None or now.total <= before.total:
            return Load(average, cpus, None, None)
        total = now.total - before.total
        used = total - (now.idle - before.idle) - (now.steal - before.steal)
        own = _own() - self._own + own_ticks
        return Load(average, cpus, (now.steal - before.steal) / total, max(used - own, 0.0) / total)
