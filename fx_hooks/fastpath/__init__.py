"""Proves a clean commit clean, and imports next to nothing for it.

Nearly always there is nothing to find, so every commit of every person asks here first. Each
module answers "proven clean" or "not sure", and the command does the work where it is not: a
fault here can cost time, never let anything through. Nothing is imported that a bare interpreter
has not loaded anyway, but for :mod:`marshal`, :mod:`binascii` and these small modules: with
argparse, pathspec and yaml a commit would take ten times as long.
"""

POLICY = b".fx-hooks.yaml"
BASELINE = b".fx-hooks-baseline"
