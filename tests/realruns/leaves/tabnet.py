"""A classifier of tables, saved."""

import numpy
from pytorch_tabnet.tab_model import TabNetClassifier

rows = numpy.random.default_rng(0).random((64, 4), "float32")
model = TabNetClassifier(verbose=0)
model.fit(rows, numpy.arange(64) % 2, max_epochs=1, batch_size=16, virtual_batch_size=16)
model.save_model("tabnet")
