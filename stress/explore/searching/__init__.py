"""The compiled search: states, where they are stored, and how the next ones are found."""
