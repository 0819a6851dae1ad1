"""Two models of a table."""

import pandas
from autogluon.tabular import TabularPredictor

table = pandas.DataFrame({"a": range(60), "b": [0, 1, 2] * 20, "label": [0, 1] * 30})
TabularPredictor(label="label").fit(table, hyperparameters={"RF": {}, "KNN": {}})
