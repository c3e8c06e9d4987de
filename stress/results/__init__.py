"""Results that last: what commands found, in a file of SQLite, to list, to compare and to plot over time."""
