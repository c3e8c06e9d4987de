"""An error of another process, as it is told to the one that asked for the work."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from shm_layout.errors import MachineError, PteStressError, UsageError


@dataclass(frozen=True)
class ToldError:
    """What ended a process: the exit status that belongs to it, None for a fault of this program, and what it said."""

    status: int | None
    said: str

    @classmethod
    def of(cls, error: Exception) -> ToldError:
        """Return an error that was just caught, to be sent to another process."""
        status = error.exit_status if isinstance(error, PteStressError) else None
        return cls(status, str(error) if status else traceback.format_exc())

    def error(self) -> Exception:
        """Return it as an error of this process."""
        if self.status is None:
            return RuntimeError(self.said)
        kinds = {kind.exit_status: kind for kind in (UsageError, MachineError)}
        return kinds.get(self.status, PteStressError)(self.said)
