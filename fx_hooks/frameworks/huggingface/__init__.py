"""Hugging Face: transformers, diffusers, peft and the hub."""

RUN_FOLDERS = rb"checkpoint-\d+"  # results/checkpoint-500
