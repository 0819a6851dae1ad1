"""Files, paths, text and formats, independent of the rest of the package."""
