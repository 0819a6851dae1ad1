"""A trainer that saves its last two epochs, and the best one."""

import torch
from ignite.engine import Engine, Events
from ignite.handlers import Checkpoint, DiskSaver, ModelCheckpoint
from ignite.handlers.tensorboard_logger import TensorboardLogger

net = torch.nn.Linear(2, 1)
trainer = Engine(lambda _, batch: net(batch).mean().item())
saver = DiskSaver("checkpoints", create_dir=True)
every = Checkpoint({"model": net, "trainer": trainer}, saver, n_saved=2)
trainer.add_event_handler(Events.EPOCH_COMPLETED, every)
best = ModelCheckpoint("best_ones", "demo", n_saved=1, score_name="score",
                       score_function=lambda engine: engine.state.output)  # fmt: skip
trainer.add_event_handler(Events.EPOCH_COMPLETED, best, {"net": net})
with TensorboardLogger(log_dir="tb") as logger:
    logger.attach_output_handler(trainer, Events.EPOCH_COMPLETED, "train",
                                 output_transform=lambda value: {"loss": value})  # fmt: skip
    trainer.run([torch.ones(2, 2)] * 2, max_epochs=3)
