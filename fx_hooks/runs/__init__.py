"""The runs of the tools on disk."""
