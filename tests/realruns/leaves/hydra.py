"""A job, a sweep, and a job with a folder of its own."""

import logging
import subprocess
import sys

import hydra


@hydra.main(version_base=None)
def train(config):
    logging.getLogger().info("loss 0.1 at rate %s", config.get("lr"))


if len(sys.argv) > 1:
    train()
else:
    for arguments in (("+lr=1",), ("-m", "+lr=1,2"), ("+lr=1", "hydra.run.dir=experiments/first")):
        subprocess.run((sys.executable, __file__, *arguments), check=True)
