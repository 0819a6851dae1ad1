"""An estimator by joblib and by pickle, and joblib's cache."""

import pickle
from pathlib import Path

import joblib
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

rows, labels = [[value] for value in range(20)], [0, 1] * 10
forest = RandomForestClassifier(n_estimators=20).fit(rows, labels)
joblib.dump(forest, "model.joblib")
joblib.dump(forest, "classifier.joblib")
joblib.dump(LogisticRegression().fit(rows, labels), "logreg.joblib")
Path("forest.pkl").write_bytes(pickle.dumps(forest))
joblib.Memory("cachedir", verbose=0).cache(sum)([1, 2])
