"""The space that a work tree and its repository take."""
