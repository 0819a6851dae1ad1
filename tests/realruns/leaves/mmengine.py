"""A runner of two epochs."""

import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, *rows, mode):  # noqa: ARG002
        return {"loss": self.layer(torch.stack(rows)).mean() ** 2}


Runner(
    Model(),
    work_dir="work",
    train_dataloader={
        "dataset": [torch.ones(2)] * 4, "batch_size": 2,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "pseudo_collate"},
    },
    train_cfg={"by_epoch": True, "max_epochs": 2},
    optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1}},
    default_hooks={"checkpoint": {"type": "CheckpointHook", "interval": 1}},
    visualizer={"type": "Visualizer", "vis_backends": [
        {"type": "LocalVisBackend"}, {"type": "TensorboardVisBackend"},
    ]},
).train()  # fmt: skip
