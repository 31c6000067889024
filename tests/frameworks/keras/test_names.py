"""Names: those of Keras's own weight files, whatever else the process has built."""

from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import fanin
from fanin import FaninError
from fanin.frameworks import adapter_for

layers = keras.layers

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Block(keras.layers.Layer):
    """Layers in attributes, lists and dicts, and variables of its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.zoo = layers.Dense(width)
        self.alike = [layers.Dense(width), [layers.Dense(width), layers.LayerNormalization()]]
        self.named = {"b": layers.Dense(width), "a": layers.Dense(width)}
        self.attention = layers.GroupQueryAttention(4, 2, 1)

    def build(self, shape: Any) -> None:
        self.offset = self.add_weight(shape=(shape[-1],), initializer="zeros")
        self.several = [self.add_weight(shape=(shape[-1],), name="w") for _ in range(2)]
        self.steps = self.add_weight(shape=(), trainable=False, initializer="zeros")
        first, (second, last) = self.alike
        for layer in (self.zoo, first, second, last, *self.named.values()):
            layer.build(shape)
        self.attention.build(shape, shape)

    def call(self, x: Any) -> Any:
        first, (second, last) = self.alike
        x = x + self.offset + self.several[0] * self.several[1]
        for layer in (self.zoo, first, second, last, *self.named.values()):
            x = layer(x)
        return self.attention(x, x)


def model() -> Any:
    """A functional model of nested ones."""
    given = keras.Input((5, 8))
    inner = keras.Sequential([keras.Input((5, 8)), layers.Dense(8), layers.Dropout(0.1)])
    x = inner(Block(8)(layers.Dense(8)(given)))
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True))(x)
    x = layers.SpectralNormalization(layers.Dense(4))(layers.BatchNormalization()(x))
    return keras.Model(given, x)


def test_names_are_the_paths_in_a_weight_file(tmp_path: Path) -> None:
    built = model()
    built.compile("adam")
    built.save_weights(tmp_path / "m.weights.h5")
    stored: dict[str, int] = {}

    def count(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
            path = name[: name.index("vars")].strip("/").replace("/", ".")
            stored[path] = stored.get(path, 0) + 1

    with h5py.File(tmp_path / "m.weights.h5") as file:
        file.visititems(count)
    target = adapter_for(built).target(built)
    found: dict[str, int] = {}
    ties = [alias for slot in target.slots.values() for alias in slot.param.aliases]
    for name in [*target.slots, *ties, *target.buffer_names()]:
        head = name.rpartition(".")[0].removesuffix(".several")
        found[head] = found.get(head, 0) + 1
    if keras.version() < "3.15":  # whose files leave out layers in a tuple within a list
        found = {head: count for head, count in found.items() if ".alike.container." not in head}
        stored = {head: count for head, count in stored.items() if ".alike.container." not in head}
    assert found == stored


def test_names_do_not_count_what_else_was_built() -> None:
    first = [*fanin.plan(model())]
    layers.Dense(3).build((None, 2))
    second = model()
    assert [*fanin.plan(second)] == first
    assert first[:6] == [
        *("layers.dense.weight", "layers.dense.bias", "layers.block.offset"),
        *("layers.block.several.0", "layers.block.several.1", "layers.block.zoo.weight"),
    ]
    assert "layers.block.attention._query_dense.weight" in first
    assert "layers.block.named.dense_1.bias" in first
    assert "layers.block.alike.container.layer_normalization.weight" in first
    assert "layers.bidirectional.forward_layer.cell.recurrent_kernel" in first
    assert "layers.spectral_normalization.layer.weight" in first
    assert "layers.block.steps" in adapter_for(second).target(second).buffer_names()


def test_a_layer_that_has_a_kernel_and_a_scale_keeps_their_names() -> None:
    class Scaled(layers.Dense):
        def build(self, shape: Any) -> None:
            super().build(shape)
            self.scale = self.add_weight(shape=(self.units,), initializer="ones")

    layer = Scaled(3)
    layer.build((None, 4))
    assert sorted(adapter_for(layer).target(layer).slots) == ["bias", "kernel", "scale"]


def test_a_shared_layer_has_one_name_and_a_shared_variable_two() -> None:
    shared, given = layers.Dense(4), keras.Input((4,))
    twice = keras.Model(given, shared(shared(given)))
    assert [*fanin.plan(twice)] == ["layers.dense.weight", "layers.dense.bias"]
    table = layers.Embedding(7, 4)
    table.build()
    tied = keras.Sequential([keras.Input((3,), dtype="int32"), Head(table), table])
    slot = adapter_for(tied).target(tied).slots["layers.embedding.weight"]
    assert slot.param.aliases == ("layers.head.rows",)
    assert slot.param.kind == "table"


class Head(layers.Layer):
    """Holds the variable of another layer."""

    def __init__(self, table: Any) -> None:
        super().__init__()
        self.rows = table.embeddings

    def call(self, x: Any) -> Any:
        return x


def test_rename_maps_names_and_refuses_what_collides() -> None:
    built = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(3)])
    given = {"layers.dense.weight": "first"}
    assert next(iter(fanin.plan(built, rename=given))) == "first"
    with pytest.raises(FaninError, match=r"layers\.dense\.bias is the name of two parameters"):
        fanin.plan(built, rename={"layers.dense.weight": "layers.dense.bias"})
    with pytest.raises(FaninError, match=r"rename has 'layers\.dens\.weight': did you mean"):
        fanin.plan(built, rename={"layers.dens.weight": "a"})


def test_a_prefix_tells_models_apart() -> None:
    built = [keras.Sequential([keras.Input((4,)), layers.Dense(3)]) for _ in range(2)]
    for name, each in zip(("one", "two"), built, strict=True):
        fanin.initialize(each, 0, np.zeros((1, 4), np.float32), prefix=name)
    values = [keras.ops.convert_to_numpy(each.layers[0].kernel) for each in built]
    assert not np.array_equal(*values)
    wanted = fanin.initializers.get("lecun_normal")((3, 4), seed=0, name="one.layers.dense.weight")
    assert np.array_equal(values[0], wanted.T)
