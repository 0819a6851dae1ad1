"""Ranges of commits and what they bring in."""
