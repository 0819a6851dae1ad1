"""A model in both formats, checkpoints while it trains, and a text dump."""

from pathlib import Path

import numpy
import xgboost

Path("steps").mkdir()
data = xgboost.DMatrix(numpy.arange(200.0).reshape(100, 2), label=[0, 1] * 50)
every = xgboost.callback.TrainingCheckPoint("steps", interval=2)
booster = xgboost.train({"objective": "binary:logistic"}, data, 5, callbacks=[every])
booster.save_model("model.json")
booster.save_model("booster.ubj")
booster.dump_model("dump.raw.txt")
