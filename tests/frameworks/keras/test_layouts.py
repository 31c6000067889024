"""Layouts of keras.distribution on JAX: each device draws its own part of the same values."""

import os
import subprocess
import sys

SHARDED = """
import jax, keras, numpy as np
import fanin
from fanin.frameworks import keras as adapter

layers = keras.layers


def model(rows="uniform"):
    return keras.Sequential([
        keras.Input((4,), dtype="int32"),
        layers.Embedding(64, 16, embeddings_initializer=rows),
        layers.GRU(8),
        layers.Dense(16, activation="relu"),
        layers.Dense(8),
    ])


def values(made):
    return [np.asarray(each.value) for each in made.trainable_variables]


x = keras.KerasTensor((2, 4), "int32")
assert jax.device_count() == 8
mesh = keras.distribution.DeviceMesh((8,), ["model"], jax.devices())
layouts = keras.distribution.LayoutMap(mesh)
layouts[".*dense.*kernel"] = (None, "model")
layouts[".*embeddings"] = ("model", None)
keras.distribution.set_distribution(keras.distribution.ModelParallel(layout_map=layouts))


def shards(variable):
    return {shard.data.shape for shard in variable.value.addressable_shards}


made = model()
kernels = [made.layers[0].embeddings, made.layers[2].kernel, made.layers[3].kernel]
before = [kernel.value.sharding.spec for kernel in kernels]
asked = []
draw = fanin.initializers.Elementwise._draw
fanin.initializers.Elementwise._draw = lambda self, request: (
    asked.append((request.name, draw(self, request).shape)) or draw(self, request)
)
plan = fanin.initialize(made, 5, x)
fanin.initializers.Elementwise._draw = draw
assert [kernel.value.sharding.spec for kernel in kernels] == before
assert [shards(kernel) for kernel in kernels] == [{(8, 16)}, {(8, 2)}, {(16, 1)}]
parts = {shape for name, shape in asked if name == "layers.embedding.weight"}
assert parts == {(0, 0), (8, 16)}, parts  # the rehearsal's, and each device's
plan.verify(made)
assert plan.audit(made).ok

own = adapter.initializer("normal(std=0.02)", 3, name="rows", axes="stack out")
table = model(own).layers[0].embeddings
assert shards(table) == {(8, 16)}
whole = own.init((64, 16), seed=3, name="rows", axes="stack out")
assert np.array_equal(np.asarray(table.value), whole)

keras.distribution.set_distribution(None)
alone = model()
fanin.initialize(alone, 5, x)
assert all(len(each.value.addressable_shards) == 1 for each in alone.trainable_variables)
for spread, single in zip(values(made), values(alone), strict=True):
    assert spread.tobytes() == single.tobytes()
"""


def test_each_device_draws_its_part_of_the_same_values() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHARDED],
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
