"""A job as people write them: it logs, saves a model, and ends as ``what`` says."""

import logging
import os

import hydra
from hydra.core.hydra_config import HydraConfig

# Later ones are asked to behave as they do by default.
IS_OLD = hydra.__version__.startswith(("1.0", "1.1"))
log = logging.getLogger(__name__)


def train(cfg):
    # Hydra 1.0 and 1.1 go into the folder of the job themselves.
    output = getattr(HydraConfig.get().runtime, "output_dir", None) or os.getcwd()
    for step in range(3):
        log.info("step %d: loss %.2f", step, cfg.lr / (step + 1))
    if cfg.what == "killed":
        print("logged", flush=True)
        input()
    if cfg.what in ("failed", "logged"):
        raise ValueError("the loss is no number")
    with open(os.path.join(output, "model.pt"), "wb") as file:
        file.write(b"PK\x03\x04 some weights")
    return cfg.lr


@hydra.main(config_path="conf", config_name="config", **({} if IS_OLD else {"version_base": "1.2"}))
def main(cfg):
    if cfg.what != "logged":
        return train(cfg)
    try:  # the Lightning-Hydra template's task_wrapper
        return train(cfg)
    except Exception:
        log.exception("")
        raise
    finally:
        log.info("Output dir: %s", os.getcwd())


if __name__ == "__main__":
    main()
