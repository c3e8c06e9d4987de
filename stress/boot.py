"""Old path of `stress.kernel.boot`, kept for files of users."""

from stress.kernel.boot import boot, boot_registers, boot_tasks

__all__ = ["boot", "boot_registers", "boot_tasks"]
