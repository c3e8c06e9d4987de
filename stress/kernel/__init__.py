"""The steps: one file per file of the kernel, with the kernel's names."""
