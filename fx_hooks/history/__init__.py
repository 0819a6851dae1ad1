"""What ranges of commits bring in."""
