"""A fit with the callbacks that people use; the model as a whole and its weights."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy

model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(64), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(
    numpy.ones((8, 2)),
    numpy.ones(8),
    epochs=2,
    verbose=0,
    callbacks=[
        keras.callbacks.ModelCheckpoint("steps/{epoch:02d}-{loss:.2f}.keras"),
        keras.callbacks.ModelCheckpoint("cp/{epoch}.weights.h5", save_weights_only=True),
        keras.callbacks.CSVLogger("training.csv"),
        keras.callbacks.BackupAndRestore("backup", delete_checkpoint=False),
    ],
)
model.save("net.keras")
model.save("net.h5")
model.save_weights("net.weights.h5")
