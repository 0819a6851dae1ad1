"""PyTorch Lightning."""

RUN_FOLDERS = rb"version_\d+"  # lightning_logs/version_0
