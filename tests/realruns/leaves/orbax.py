"""Steps of a manager, one checkpoint, the bytes of Flax, and a profile of JAX."""

from pathlib import Path

import flax.serialization
import jax
import orbax.checkpoint as ocp

state = {"layer": {"w": jax.numpy.ones((8, 8)), "b": jax.numpy.zeros(8)}}
with ocp.CheckpointManager(Path("ckpts").resolve()) as manager:
    for step in range(2):
        manager.save(step, args=ocp.args.StandardSave(state))
with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(Path("one").resolve(), state)
Path("params.msgpack").write_bytes(flax.serialization.to_bytes(state))
with jax.profiler.trace("profile"):
    jax.numpy.ones(10).sum().block_until_ready()
