"""A fit as people write it: ``lightning_fit.py LOGGER WHAT``."""

import sys

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

LOGGER, WHAT = sys.argv[1:]
LOGGERS = {"csv": CSVLogger, "tensorboard": TensorBoardLogger}


class Model(lightning.LightningModule):
    def __init__(self, lr=0.1):  # noqa: ARG002
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch, _):
        if self.current_epoch == 1:
            if WHAT == "killed":
                print("logged", flush=True)
                input()
            if WHAT == "failed":
                raise ValueError("the loss is no number")
        loss = self.layer(batch).mean() ** 2
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)


data = torch.utils.data.DataLoader(torch.ones(4, 2), batch_size=2)
trainer = lightning.Trainer(
    max_epochs=2,
    logger=LOGGERS[LOGGER]("."),
    callbacks=[ModelCheckpoint(save_last="link" if WHAT == "linked" else None)],
    accelerator="cpu",
    log_every_n_steps=1,
    enable_progress_bar=False,
)
trainer.fit(Model(), data)
