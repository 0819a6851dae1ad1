"""Train the toy model: `python train.py`, or a sweep with `python train.py -m seed=1,2`."""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path

import hydra
import wandb
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

sys.path.insert(0, str(Path(__file__).parent / "src"))

from toyproject.fit import fit
from toyproject.outputs import write_outputs

log = logging.getLogger(__name__)


@hydra.main(version_base="1.3", config_path="config", config_name="config")
def main(cfg: DictConfig) -> None:
    log.setLevel(cfg.logs.level)
    directory = Path(HydraConfig.get().runtime.output_dir)
    log.info("run in %s", directory)
    records = []
    with wandb.init(
        project=cfg.wandb.project,
        tags=list(cfg.wandb.tags),
        config={"seed": cfg.seed, "model": OmegaConf.to_container(cfg.model)},
    ) as run:
        for record in fit(seed=cfg.seed, **cfg.model):
            run.log({"slope": record.slope, "loss": record.loss}, step=record.step)
            log.info("step %d: loss %.4f", record.step, record.loss)
            records.append(record)
        if "TOY_SAVE" in os.environ:
            run.save(os.environ["TOY_SAVE"], base_path=Path(__file__).parent)
        # A test waits for the run, and takes the file away.
        while os.path.exists(os.environ.get("TOY_HOLD", "")):
            time.sleep(0.02)
    write_outputs(
        directory,
        config=OmegaConf.to_yaml(cfg, resolve=True),
        records=records,
        weights=Path(cfg.weights),
    )


if __name__ == "__main__":
    main()
