"""The model that is explored: memory, registers, steps, and what a transition does and breaks."""
