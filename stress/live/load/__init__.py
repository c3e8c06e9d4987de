"""Processes that fault, map and fork on request while the kernel's counters are read."""
