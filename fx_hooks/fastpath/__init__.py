"""Proves a clean commit clean; imports next to nothing."""
