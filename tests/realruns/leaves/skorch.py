"""A fit with a checkpoint of each epoch, and the parameters saved by hand."""

import numpy
import torch
from skorch import NeuralNetRegressor
from skorch.callbacks import Checkpoint, TrainEndCheckpoint

net = NeuralNetRegressor(
    torch.nn.Linear(2, 1), max_epochs=2, verbose=0,
    callbacks=[Checkpoint(dirname="steps"), TrainEndCheckpoint(dirname="end")],
)  # fmt: skip
net.fit(numpy.ones((10, 2), "float32"), numpy.ones((10, 1), "float32"))
net.save_params(f_params="net.pkl", f_optimizer="adam.pkl", f_history="history.json")
