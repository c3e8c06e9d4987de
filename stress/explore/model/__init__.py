"""The model that is explored: memory, registers, steps, and what a transition does and breaks."""

from stress.explore.model.model import Model, SetupError, build

__all__ = ["Model", "SetupError", "build"]
