"""What takes the space of a repository."""
