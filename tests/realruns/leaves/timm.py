"""What the training script of timm writes, by its own helpers."""

from pathlib import Path

import timm
import torch
from timm.utils import CheckpointSaver, get_outdir, update_summary

model = timm.create_model("test_vit", num_classes=2)
place = get_outdir("output/train", "20260102-030405-test_vit-160")
saver = CheckpointSaver(model, torch.optim.SGD(model.parameters(), 0.1), checkpoint_dir=place,
                        recovery_dir=place, max_history=2)  # fmt: skip
for epoch in range(3):
    saver.save_recovery(epoch, 7)
    saver.save_checkpoint(epoch, metric=epoch / 3)
    update_summary(epoch, {"loss": 1.0}, {"top1": epoch / 3}, f"{place}/summary.csv",
                   write_header=epoch == 0)  # fmt: skip
Path(place, "args.yaml").write_text("lr: 0.1\n")
