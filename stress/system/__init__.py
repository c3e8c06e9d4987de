"""The operating system: CPUs, signals, files, prctl."""
