"""A toy project: fit a line."""
