"""Layouts of keras.distribution on JAX: each device draws its own part of the same values."""

import os
import subprocess
import sys

MODEL = """
import hashlib, json, sys
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


def digests(made):
    values = (np.asarray(each.value) for each in made.trainable_variables)
    return [hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest() for value in values]


x = keras.KerasTensor((2, 4), "int32")
"""

WHOLE = """
made = model()
fanin.initialize(made, 5, x)
print(json.dumps(digests(made)))
"""

SHARDED = """
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
print(json.dumps(digests(made)))
"""


def run(code: str, devices: int) -> str:
    """The last line that a process prints, in which JAX has so many devices."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    done = subprocess.run(
        [sys.executable, "-c", MODEL + code],
        env={**os.environ, "KERAS_BACKEND": "jax", "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip().splitlines()[-1]


def test_each_device_draws_its_part_of_the_same_values() -> None:
    assert run(SHARDED, 8) == run(WHOLE, 1)
