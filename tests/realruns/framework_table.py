"""The frameworks of `tests.realruns.leftovers`: their packages, and what is judged by eye.

*belongs* are the files that people commit, *passes* those that are let through though they are
output: patterns, each with the reason. The first pattern that matches a path counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Framework(NamedTuple):
    """A framework with its packages; those of one *environment* share it."""

    name: str
    packages: tuple[str, ...]
    environment: str
    belongs: Mapping[str, str] = {}
    passes: Mapping[str, str] = {}


# The environments whose packages take minutes to install.
LARGE = frozenset({"torch", "tensorflow", "paddle", "autogluon", "ray", "jax", "keras", "spacy"})
_TORCH = ("torch", "torchvision", "tensorboard")
_CONFIG = "configuration: no weights, and it says how to build the model again"
_TEXT = "a table or text under a free name, as people write them"
_SMALL_TEXT = "below 16 KiB, and people write files of that suffix"
_SMALL = "below 16 KiB, and the name says nothing"
_PREFIX = "a prefix of one's own, as weights that are handed on have it"
_SAID, _OWN = "DVC says to commit it", "DVC's own .gitignore leaves it out"
_DATA = "data, and no output of a training"

FRAMEWORKS = {
    "hydra": Framework("Hydra", ("hydra-core",), "small"),
    "wandb": Framework("Weights & Biases", ("wandb",), "small"),
    "tensorboardx": Framework(
        "tensorboardX", ("tensorboardX", "numpy", "pillow"), "small",
        passes={"all_scalars.json": _TEXT},
    ),
    "sacred": Framework("Sacred", ("sacred", "setuptools<81"), "small"),
    "optuna": Framework(
        "Optuna", ("optuna",), "small",
        passes={"sampler.pkl": "a pickle under a free name can be anything"},
    ),
    "submitit": Framework("submitit", ("submitit",), "small"),
    "sklearn": Framework(
        "scikit-learn and joblib", ("scikit-learn",), "small",
        belongs={"cachedir/.gitignore": "joblib's own, which leaves out the cache"},
    ),
    "xgboost": Framework(
        "XGBoost", ("xgboost",), "small",
        passes={"dump.raw.txt": _TEXT, "model.json": _SMALL_TEXT},
    ),
    "lightgbm": Framework(
        "LightGBM", ("lightgbm",), "small",
        belongs={"train.bin": _DATA},
        passes={"model.txt": _SMALL_TEXT},
    ),
    "comet": Framework("Comet", ("comet_ml",), "small"),
    "neptune": Framework("Neptune", ("neptune",), "small"),
    "onnx": Framework("ONNX", ("onnx",), "small"),
    "python": Framework(
        "Python and its tools", ("pytest", "pytest-cov", "mypy", "ruff", "build", "setuptools<81"),
        "small",
        belongs={"pkg/*.py": "source", "pyproject.toml": "source"},
        passes={
            "coverage.xml": _TEXT,
            "pkg.egg-info/*": "metadata of a package, which some people commit",
            "dist/*": "a release: people write to folders of that name",
        },
    ),
    "catboost": Framework(
        "CatBoost", ("catboost",), "catboost",
        passes={"classifier.json": _SMALL_TEXT},
    ),
    "mlflow": Framework("MLflow", ("mlflow",), "mlflow"),
    "aim": Framework("Aim", ("aim",), "aim"),
    "dvc": Framework(
        "DVC", ("dvc",), "dvc",
        belongs={
            ".dvc/config": _SAID, "*.gitignore": _SAID, ".dvcignore": _SAID, "*.dvc": _SAID,
            "dvc.*": _SAID, "metrics.json": _SAID, "data/rows.csv": _OWN, "net.out": _OWN,
        },
    ),
    "metaflow": Framework("Metaflow", ("metaflow",), "metaflow"),
    "gensim": Framework(
        "Gensim", ("gensim",), "gensim",
        passes={
            "vectors.bin": "vectors without any sign of the tool",
            "vectors.txt": _TEXT, "words.dict": _SMALL,
        },
    ),
    "fasttext": Framework("fastText", ("fasttext",), "gensim"),
    "spacy": Framework(
        "spaCy", ("spacy",), "spacy",
        belongs={"config.cfg": _CONFIG, "train.spacy": _DATA},
    ),
    "ray": Framework("Ray Tune", ("ray[tune]", "pandas"), "ray"),
    "orbax": Framework(
        "Orbax, Flax and JAX", ("orbax-checkpoint", "flax", "jax"), "jax",
        passes={"params.msgpack": "MessagePack under a free name can be anything"},
    ),
    "keras": Framework(
        "Keras", ("keras", "jax", "h5py"), "keras", passes={"training.csv": _TEXT}
    ),
    "tensorflow": Framework(
        "TensorFlow", ("tensorflow-cpu", "tensorboard"), "tensorflow",
        passes={
            "*.index": _PREFIX, "*.data-00000-of-00001": _PREFIX, "training/checkpoint": _PREFIX,
        },
    ),
    "paddle": Framework(
        "PaddlePaddle", ("paddlepaddle",), "paddle",
        passes={"inference/net.json": "the program of a model as JSON, without its weights"},
    ),
    "autogluon": Framework("AutoGluon", ("autogluon.tabular",), "autogluon"),
    "torch": Framework(
        "PyTorch", (*_TORCH, "onnx", "onnxscript"), "torch",
        passes={
            "inductor/*": "a cache under a free name; by default it is outside",
            "stacks.txt": _TEXT, "trace.json": "a profile under a free name",
        },
    ),
    "lightning": Framework(
        "Lightning", ("lightning",), "torch", passes={"profiles/fit-torch.txt": _TEXT}
    ),
    "transformers": Framework(
        "Transformers", ("transformers",), "torch", belongs={"final/config.json": _CONFIG}
    ),
    "accelerate": Framework("Accelerate", ("accelerate",), "torch"),
    "peft": Framework(
        "PEFT", ("peft",), "torch",
        belongs={"*/*config.json": _CONFIG, "adapter/README.md": "documentation"},
    ),
    "datasets": Framework(
        "Datasets", ("datasets",), "torch",
        belongs={"prepared/*": _DATA, "rows.csv": _DATA},
        passes={"*.lock": "an empty file: of locks, only their folder says whose they are"},
    ),
    "diffusers": Framework(
        "Diffusers", ("diffusers",), "torch",
        belongs={"*config.json": _CONFIG, "ddpm/model_index.json": _CONFIG},
    ),
    "stable_baselines3": Framework("Stable-Baselines3", ("stable-baselines3", "pandas"), "torch"),
    "skorch": Framework(
        "skorch", ("skorch",), "torch",
        passes={"adam.pkl": _SMALL, "history.json": _TEXT},
    ),
    "fastai": Framework("fastai", ("fastai",), "torch"),
    "ignite": Framework("PyTorch-Ignite", ("pytorch-ignite",), "torch"),
    "mmengine": Framework("MMEngine", ("mmengine", "setuptools<81"), "torch"),
    "timm": Framework("timm", ("timm",), "torch"),
    "tabnet": Framework("TabNet", ("pytorch-tabnet",), "torch"),
    "ultralytics": Framework(
        "Ultralytics", ("ultralytics",), "torch",
        belongs={"set.yaml": _DATA, "set/*.png": _DATA, "set/*.txt": _DATA},
    ),
}  # fmt: skip
