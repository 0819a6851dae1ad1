"""A run as people write them: ``mlflow_run.py STORE WHAT``."""

import sys

import mlflow

STORE, WHAT = sys.argv[1:]


def log():
    mlflow.log_param("lr", 0.1)
    for step in range(3):
        mlflow.log_metric("val/loss", 1 / (step + 1), step=step)
    with open("note.txt", "w") as file:
        file.write("some words\n")
    mlflow.log_artifact("note.txt")
    if WHAT == "killed":
        print("logged", flush=True)
        input()
    if WHAT in ("failed", "uncaught"):
        raise ValueError("the loss is no number")


mlflow.set_tracking_uri(STORE)
if WHAT == "uncaught":  # the run is ended as Python ends
    mlflow.start_run()
    log()
elif WHAT == "stopped":  # what ends a run of `mlflow run` that is stopped
    mlflow.start_run()
    log()
    mlflow.end_run("KILLED")
elif WHAT == "deleted":
    with mlflow.start_run() as run:
        log()
    mlflow.delete_run(run.info.run_id)
else:
    with mlflow.start_run():
        log()
