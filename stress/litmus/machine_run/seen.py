"""What a run of a test on this machine saw."""

from __future__ import annotations

from dataclasses import dataclass

from stress.litmus.conditions import State


@dataclass
class Seen:
    """What a run saw."""

    counts: list[tuple[State, int, bool | None]]
    """Final states, the most frequent first: how often each was seen, and whether x86-TSO allows it (None: unknown)."""
    instances: int
    seconds: float
    processes: int
    cpus: int
    allowed: int
    """States that x86-TSO allows, as far as they are known."""
    seed: int

    @property
    def forbidden(self) -> int:
        """Instances that ended in a state which x86-TSO forbids."""
        return sum(count for _, count, allowed in self.counts if allowed is False)

    @property
    def judged(self) -> bool:
        """Whether every state that was seen could be held against x86-TSO."""
        return all(allowed is not None for _, _, allowed in self.counts)

    @property
    def per_second(self) -> float:
        """Instances a second, of all processes together."""
        return self.instances / self.seconds
