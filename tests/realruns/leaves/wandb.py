"""An offline run with a table of metrics, an artifact, and a picture of its configuration."""

from pathlib import Path

import wandb

Path("model.bin").write_bytes(b"\0" * 100)
with wandb.init(mode="offline", project="demo", config={"lr": 0.1}) as run:
    for step in range(3):
        run.log({"loss": 1 / (step + 1)})
    run.log({"table": wandb.Table(columns=["a"], data=[[1]])})
    artifact = wandb.Artifact("net", type="model")
    artifact.add_file("model.bin")
    run.log_artifact(artifact)
Path("model.bin").unlink()
