"""A data set, a pipeline, and an experiment."""

import os
import subprocess
import sys
from pathlib import Path

os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def dvc(*arguments):
    subprocess.run(("dvc", "-q", *arguments), check=True)


dvc("init")
Path("data").mkdir()
Path("data/rows.csv").write_text("a,b\n1,2\n" * 100)
dvc("add", "data/rows.csv")
dvc("stage", "add", "-n", "train", "-d", "data/rows.csv", "-o", "net.out", "-M", "metrics.json",
    "cp data/rows.csv net.out && echo '{\"loss\": 0.1}' > metrics.json")  # fmt: skip
dvc("repro")
