"""A classifier, and its vectors."""

from pathlib import Path

import fasttext

Path("train.txt").write_text("__label__a good thing\n__label__b bad thing\n" * 20)
model = fasttext.train_supervised("train.txt", dim=1000, lr=0.01, verbose=0)
model.save_model("topics.bin")
Path("train.txt").unlink()
