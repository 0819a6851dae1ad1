"""A run in the repository's own store."""

from aim import Run

run = Run(experiment="demo")
run["lr"] = 0.1
for step in range(3):
    run.track(1 / (step + 1), name="loss", step=step)
run.close()
