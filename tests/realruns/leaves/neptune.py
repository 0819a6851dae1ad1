"""An offline run."""

import neptune

run = neptune.init_run(mode="offline")
run["loss"].append(0.1)
run.stop()
