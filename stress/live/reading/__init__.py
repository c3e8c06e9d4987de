"""What the kernel says: files of /proc, page tables, facts about the machine."""
