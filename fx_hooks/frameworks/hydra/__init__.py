"""Hydra."""

# The folders of single runs in the paths of files.
RUN_FOLDERS = rb"""
    \d{4}-\d{2}-\d{2} / \d{2}-\d{2}-\d{2}           # outputs/2024-01-31/23-59-59
  | \d{4}-\d{2}-\d{2}_\d{2}-\d{2}-\d{2}             # runs/2024-01-31_23-59-59
"""
