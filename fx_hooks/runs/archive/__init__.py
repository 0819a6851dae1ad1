"""Archives of runs: written, read, listed and put back."""
