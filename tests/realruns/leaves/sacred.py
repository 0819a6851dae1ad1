"""A run with an artifact, kept in files."""

from pathlib import Path

from sacred import Experiment
from sacred.observers import FileStorageObserver

experiment = Experiment("demo", save_git_info=False)
experiment.observers.append(FileStorageObserver("my_runs"))


@experiment.main
def main(_run):
    _run.log_scalar("loss", 0.1)
    Path("weights.txt").write_text("1 2 3")
    experiment.add_artifact("weights.txt")
    Path("weights.txt").unlink()
    return 0.1


experiment.run()
