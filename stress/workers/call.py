"""Old path of `stress.workers.records`, kept for files of users."""

from stress.workers.records import Call, Progress, Result, Shown, Truth, Usage, Verdict

__all__ = ["Call", "Progress", "Result", "Shown", "Truth", "Usage", "Verdict"]
