"""The classifier of paths, and what it asks of the index and the disk."""
