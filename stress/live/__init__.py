"""The kernel that this runs on: how far its resident sizes are off, and what reading them costs."""
