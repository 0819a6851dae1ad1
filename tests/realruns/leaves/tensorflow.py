"""Checkpoints of a manager and by hand, a saved model, summaries and a profile."""

import tensorflow as tf

model = tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(tf.ones((8, 2)), tf.ones(8), verbose=0, callbacks=[
    tf.keras.callbacks.TensorBoard("tb", profile_batch=1),
])  # fmt: skip
checkpoint = tf.train.Checkpoint(model=model)
tf.train.CheckpointManager(checkpoint, "tf_ckpts", max_to_keep=2).save()
checkpoint.save("training/state")
checkpoint.write("best_weights")
tf.saved_model.save(model, "exported")
model.export("served")
converter = tf.lite.TFLiteConverter.from_saved_model("exported")
with open("net.tflite", "wb") as file:
    file.write(converter.convert())
