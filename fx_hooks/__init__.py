"""fx-hooks keeps machine-learning repositories clean."""

__version__ = "0.1.0"
