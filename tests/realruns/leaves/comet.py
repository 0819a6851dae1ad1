"""An offline experiment."""

import comet_ml

experiment = comet_ml.OfflineExperiment(project_name="demo", workspace="anna")
experiment.log_metric("loss", 0.1, step=1)
experiment.end()
