"""The exit codes of every command; they never depend on the format of the output."""

CLEAN, FOUND, FATAL, INTERRUPTED = 0, 1, 2, 130
