"""Scalars, an embedding, and the scalars as JSON."""

import numpy
from tensorboardX import SummaryWriter

with SummaryWriter() as writer:
    for step in range(3):
        writer.add_scalar("loss", 1 / (step + 1), step)
    writer.add_scalars("group", {"a": 1.0, "b": 2.0}, 0)
    writer.add_embedding(numpy.eye(3), metadata=["a", "b", "c"])
    writer.export_scalars_to_json("./all_scalars.json")
