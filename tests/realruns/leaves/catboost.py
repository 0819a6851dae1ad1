"""A model in three formats, with a snapshot to go on from, in the default folder and another."""

from catboost import CatBoostClassifier

rows, labels = [[value, 1] for value in range(40)], [0, 1] * 20
for options in ({}, {"train_dir": "results"}, {"save_snapshot": True, "snapshot_file": "snap"}):
    model = CatBoostClassifier(iterations=5, verbose=False, **options)
    model.fit(rows, labels, eval_set=(rows, labels))
model.save_model("classifier.cbm")
model.save_model("classifier.json", format="json")
model.save_model("classifier.onnx", format="onnx")
