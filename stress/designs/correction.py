"""Old path of `stress.designs.parts.correction`, kept for files of users."""

from stress.designs.parts.correction import Change, Correction, corrected, everywhere

__all__ = ["Change", "Correction", "corrected", "everywhere"]
