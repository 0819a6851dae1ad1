"""The tools whose runs are known, in the order in which a folder is asked for their marks."""

from __future__ import annotations

from fx_hooks.frameworks.huggingface.runs import FRAMEWORK as HUGGINGFACE
from fx_hooks.frameworks.hydra.runs import FRAMEWORK as HYDRA
from fx_hooks.frameworks.lightning.runs import FRAMEWORK as LIGHTNING
from fx_hooks.frameworks.mlflow.runs import FRAMEWORK as MLFLOW
from fx_hooks.frameworks.wandb.runs import FRAMEWORK as WANDB

FRAMEWORKS = (WANDB, HYDRA, LIGHTNING, MLFLOW, HUGGINGFACE)
KINDS = {kind.name: kind for framework in FRAMEWORKS for kind in framework.kinds}
