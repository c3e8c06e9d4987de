"""A way to a broken check: the steps of it, in words, and saved as a file."""
