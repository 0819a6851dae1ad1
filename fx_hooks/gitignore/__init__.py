"""The managed block of ``.gitignore``, and what is wrong around it."""
