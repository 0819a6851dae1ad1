"""Weights & Biases."""

RUN_FOLDERS = rb"""
    (?: offline- | dry )? run-\d{8}_\d{6}-[^/]+     # wandb/run-20240131_235959-ID
  | sweep-[^/]+ (?= /config-[^/]*\.yaml \Z )        # wandb/sweep-ID/config-RUN.yaml
"""
