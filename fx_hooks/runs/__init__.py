"""The runs of W&B, Hydra and Lightning on disk."""
