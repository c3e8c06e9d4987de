"""The strategies of exploration, one file each."""
