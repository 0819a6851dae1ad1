"""A search of two trials, with checkpoints."""

import tempfile
from pathlib import Path

import ray
from ray import tune


def train(config):
    for step in range(2):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "state.json").write_text(f'{{"step": {step}}}')
            checkpoint = tune.Checkpoint.from_directory(folder)
            tune.report({"loss": config["x"] / (step + 1)}, checkpoint=checkpoint)


ray.init(num_cpus=2, include_dashboard=False, logging_level="error")
place = str(Path("tuned").resolve())
tune.Tuner(
    train,
    param_space={"x": tune.grid_search([1, 2])},
    run_config=tune.RunConfig(storage_path=place, name="first"),
).fit()
