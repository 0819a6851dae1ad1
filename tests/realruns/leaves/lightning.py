"""Fits with the loggers, profilers and callbacks that come with Lightning."""

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.profilers import PyTorchProfiler, SimpleProfiler
from lightning.pytorch.tuner import Tuner


class Model(lightning.LightningModule):
    def __init__(self, lr=0.1):  # noqa: ARG002
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch, _):
        loss = self.layer(batch).mean() ** 2
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)


data = torch.utils.data.DataLoader(torch.ones(40, 2), batch_size=2)
for options in (
    {},
    {"logger": CSVLogger(".", version="first"), "profiler": SimpleProfiler(filename="simple")},
    {"logger": TensorBoardLogger("tb", name="demo", version="second")},
    {"profiler": PyTorchProfiler(dirpath="profiles", filename="torch")},
    {"logger": False, "callbacks": [ModelCheckpoint("saved", save_last=True)]},
):
    lightning.Trainer(
        max_epochs=1, accelerator="cpu", log_every_n_steps=1, enable_progress_bar=False, **options
    ).fit(Model(), data)
Tuner(lightning.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)).lr_find(
    Model(), data, num_training=5
)
