"""DVC: its caches are in ``rules.yaml``; the pointers that it writes belong in Git."""

from fx_hooks.frameworks.dvc.pointers import POINTER_SUFFIX, is_pointer

__all__ = ["POINTER_SUFFIX", "is_pointer"]
