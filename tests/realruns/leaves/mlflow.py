"""A run with a model in the store that is the default."""

import mlflow
from sklearn.linear_model import LogisticRegression

mlflow.autolog()
LogisticRegression().fit([[0], [1], [2], [3]], [0, 1, 0, 1])
with mlflow.start_run():
    mlflow.log_metric("loss", 0.1)
    mlflow.log_text("fine", "note.txt")
