"""A model, and the snapshots of its command line."""

import lightgbm
import numpy

rows = numpy.arange(400.0).reshape(200, 2)
data = lightgbm.Dataset(rows, label=numpy.arange(200) % 2)
booster = lightgbm.train({"objective": "binary", "verbose": -1}, data, 5)
booster.save_model("model.txt")
booster.save_model("lgb.model")
data.save_binary("train.bin")
