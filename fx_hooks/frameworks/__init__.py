"""All that is known of one tool, in one folder each; and their list.

To add a tool is to add a folder here and its name below: ``rules.yaml`` has what Git must not
get of it, and a module, if there is one, what marks its runs (see :mod:`.framework`).
"""

import os

NAMES = (
    "torch",
    "lightning",
    "huggingface",
    "keras",
    "tensorflow",
    "onnx",
    "llamacpp",
    "caffe",
    "paddle",
    "nemo",
    "sklearn",
    "stable_baselines3",
    "optuna",
    "hydra",
    "mlflow",
    "tensorboard",
    "catboost",
    "ultralytics",
    "python",
    "slurm",
    "submitit",
    "dvc",
    "ray",
    "deepspeed",
    "megatron",
    "mmengine",
    "detectron2",
    "orbax",
    "spacy",
    "sacred",
    "skorch",
    "aim",
    "comet",
    "neptune",
    "grid_engine",
    "autogluon",
    "gensim",
    "timm",
    "fastai",
    "metaflow",
    "nsight",
    "wandb",
    "cfgrib",
    "colcon",
    "darknet",
    "llamafactory",
    "unsloth",
    "axolotl",
    "gradio",
    "gym",
    "swanlab",
    "mlagents",
    "nnunet",
    "gaussian_splatting",
    "isaaclab",
    "speechbrain",
    "coqui",
    "spinningup",
    "ludwig",
    "mljar",
    "nerfstudio",
    "allennlp",
)


def rules_file(name: str) -> str:
    """Return the path of the rules of the tool of that name."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), name, "rules.yaml")
