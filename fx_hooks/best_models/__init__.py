"""The contract of ``best_models/``: what may be in it, and who approved it."""
