"""What takes space in a work tree and its repository."""
