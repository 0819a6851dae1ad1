"""The weight of artifacts in a whole history."""
