"""Files, paths, text and formats: what knows nothing of the rest."""
