"""From Python functions to machine code by Numba, and its cache on disk."""
