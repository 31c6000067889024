"""A model of Keras and its twin in torch: the same plan and the same bits, on any back end."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import torch
from torch import nn

import fanin

layers = keras.layers

pytestmark = pytest.mark.filterwarnings(  # Keras's own way of reading tensors of torch
    "ignore:__array__ implementation:DeprecationWarning"
)


class Pair(NamedTuple):
    """Two models, what they are called with, and torch's name of every variable of Keras."""

    keras: Any
    torch: nn.Module
    inputs: np.ndarray
    torch_inputs: torch.Tensor
    rename: dict[str, str]


def names(**modules: str) -> dict[str, str]:
    """Names of weights and biases, from those of the layers."""
    return {
        f"layers.{ours}.{leaf}": f"{theirs}.{leaf}"
        for ours, theirs in modules.items()
        for leaf in ("weight", "bias")
    }


def mlp() -> Pair:
    model = keras.Sequential(
        [
            keras.Input((20,)),
            layers.Dense(16, activation="relu"),
            layers.Dropout(0.2, seed=3),
            layers.Dense(12, activation="silu"),
            layers.LayerNormalization(epsilon=1e-5),
            layers.Dense(10),
        ]
    )
    twin = nn.Sequential(
        *(nn.Linear(20, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 12), nn.SiLU()),
        *(nn.LayerNorm(12), nn.Linear(12, 10)),
    )
    rename = names(dense="0", dense_1="3", layer_normalization="5", dense_2="6")
    x = np.zeros((4, 20), np.float32)
    return Pair(model, twin, x, torch.from_numpy(x), rename)


class Residual(nn.Module):
    """A stem, a branch of separable and grouped convolutions, and a transposed one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.each = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=2, bias=False)
        self.second = nn.BatchNorm2d(8)
        self.up, self.third = nn.ConvTranspose2d(8, 6, 2, stride=2), nn.GroupNorm(3, 6)
        self.head = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(self.stem(x)).relu()
        x = x + self.second(self.grouped(self.each(x).relu()))
        return self.head(self.third(self.up(x)).mean((2, 3)))


def cnn() -> Pair:
    given = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(given)
    x = layers.ReLU()(layers.BatchNormalization(epsilon=1e-5)(x))
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    y = layers.Conv2D(8, 3, padding="same", groups=2, use_bias=False)(y)
    x = layers.Add()([x, layers.BatchNormalization(epsilon=1e-5)(y)])
    x = layers.Conv2DTranspose(6, 2, strides=2)(x)
    x = layers.GroupNormalization(3, epsilon=1e-5)(x)
    x = layers.Dense(5)(layers.GlobalAveragePooling2D()(x))
    rename = names(
        **{"batch_normalization": "first", "batch_normalization_1": "second"},
        **{"depthwise_conv2d": "each", "conv2d_transpose": "up"},
        **{"group_normalization": "third", "dense": "head"},
    )
    rename |= {"layers.conv2d.weight": "stem.weight", "layers.conv2d_1.weight": "grouped.weight"}
    inputs = np.zeros((2, 8, 8, 3), np.float32)
    theirs = torch.from_numpy(inputs).permute(0, 3, 1, 2)
    return Pair(keras.Model(given, x), Residual(), inputs, theirs, rename)


class Recurrent(nn.Module):
    """Two recurrent layers and a head on the last state."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.first = kind(6, 8, batch_first=True)
        self.second = kind(8, 5, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.second(self.first(x)[0])[0][:, -1])


def recurrent(ours: Callable[..., Any], theirs: type[nn.RNNBase], name: str) -> Pair:
    first, second = ours(8, return_sequences=True), ours(5)
    model = keras.Sequential([keras.Input((7, 6)), first, second, layers.Dense(3)])
    rename = names(dense="head")
    for layer, twin in ((name, "first"), (f"{name}_1", "second")):
        rename[f"layers.{layer}.cell.weight"] = f"{twin}.weight_ih_l0"
        rename[f"layers.{layer}.cell.recurrent_kernel"] = f"{twin}.weight_hh_l0"
        rename[f"layers.{layer}.cell.bias"] = f"{twin}.bias_ih_l0"
    x = np.zeros((2, 7, 6), np.float32)
    return Pair(model, Recurrent(theirs), x, torch.from_numpy(x), rename)


class Transformer(nn.Module):
    """A table that is also the head, and one block of attention and a perceptron."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.before, self.between = nn.Embedding(50, 16), norm(), norm()
        self.query, self.key, self.value = (nn.Linear(16, 16) for _ in range(3))
        self.out, self.wide, self.back = nn.Linear(16, 16), nn.Linear(16, 32), nn.Linear(32, 16)
        self.after = norm()

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.table(tokens)
        h = self.before(x)
        q, k, v = (
            map_(h).unflatten(-1, (2, 8)).transpose(1, 2)
            for map_ in (self.query, self.key, self.value)
        )
        h = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(h.transpose(1, 2).flatten(2))
        x = x + self.back(nn.functional.gelu(self.wide(self.between(x))))
        return self.after(x) @ self.table.weight.T


def norm() -> nn.LayerNorm:
    return nn.LayerNorm(16, eps=1e-5)


def transformer() -> Pair:
    given = keras.Input((9,), dtype="int32")
    table = layers.ReversibleEmbedding(50, 16)
    x = table(given)
    h = layers.LayerNormalization(epsilon=1e-5)(x)
    h = layers.MultiHeadAttention(2, 8)(h, h, use_causal_mask=True)
    x = layers.Add()([x, h])
    h = layers.LayerNormalization(epsilon=1e-5)(x)
    h = layers.Dense(16)(layers.Dense(32, activation="gelu")(h))
    x = layers.LayerNormalization(epsilon=1e-5)(layers.Add()([x, h]))
    model = keras.Model(given, table(x, reverse=True))
    rename = names(
        **{"layer_normalization": "before", "layer_normalization_1": "between"},
        **{"layer_normalization_2": "after", "dense": "wide", "dense_1": "back"},
    ) | {"layers.reversible_embedding.weight": "table.weight"}
    for ours, theirs in {"query": "query", "key": "key", "value": "value", "output": "out"}.items():
        rename |= names(**{f"multi_head_attention.{ours}_dense": theirs})
    x = np.zeros((2, 9), np.int32)
    return Pair(model, Transformer(), x, torch.from_numpy(x), rename)


PAIRS: dict[str, Callable[[], Pair]] = {
    "mlp": mlp,
    "cnn": cnn,
    "lstm": lambda: recurrent(layers.LSTM, nn.LSTM, "lstm"),
    "gru": lambda: recurrent(layers.GRU, nn.GRU, "gru"),
    "rnn": lambda: recurrent(layers.SimpleRNN, nn.RNN, "simple_rnn"),
    "transformer": transformer,
}
# The axes of a kernel of Keras in torch's order: of what is stored as (kernel, in, out).
_ORDERS = {"each.weight": (2, 3, 0, 1), "up.weight": (3, 2, 0, 1)}
_SAME = ("table.weight",)


def in_torchs_layout(name: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A variable as the torch parameter of this name and shape."""
    if name.endswith("bias_ih_l0") and values.ndim == 2:  # a GRU's for the input and the state
        return values[0]
    if values.ndim < 2 or name in _SAME or name.endswith("bias"):
        return values.reshape(shape)
    if name == "out.weight":
        return values.reshape(-1, values.shape[-1]).T
    if values.ndim == 3:  # of attention: (in, heads, features)
        return values.reshape(values.shape[0], -1).T
    order = _ORDERS.get(name, (3, 2, 0, 1) if values.ndim == 4 else (1, 0))
    return values.transpose(order).reshape(shape)


def torchs_gates(name: str, values: np.ndarray) -> np.ndarray:
    """Keras's GRU packs update, reset, new, and torch's reset, update, new."""
    if "_l0" not in name:
        return values
    update, reset, new = np.split(values, 3)
    return np.concatenate([reset, update, new])


@pytest.mark.parametrize("recipe", ["auto", "keras", "torch", "orthogonal"])
@pytest.mark.parametrize("name", PAIRS)
def test_the_same_names_have_the_same_bits(name: str, recipe: str) -> None:
    pair = PAIRS[name]()
    mine = fanin.initialize(pair.keras, 5, pair.inputs, recipe, rename=pair.rename)
    theirs = fanin.initialize(pair.torch, 5, pair.torch_inputs, recipe)
    mine.verify(pair.keras, rename=pair.rename)
    assert mine.audit(pair.keras, rename=pair.rename).ok
    assert {*mine} == {own for own in theirs if "bias_hh" not in own}
    weights = dict(pair.torch.named_parameters())
    for place, variable in named(pair).items():
        wanted = weights[place].detach().numpy()
        values = np.asarray(keras.ops.convert_to_numpy(variable))
        held = in_torchs_layout(place, values, wanted.shape)
        held = torchs_gates(place, held) if name == "gru" else held
        if recipe != "torch":  # which spells one law for torch's layout, and one for others
            assert str(mine[place].initializer) == str(theirs[place].initializer), place
        if mine[place].initializer.tolerance("float32"):
            np.testing.assert_allclose(held, wanted, atol=1e-6, err_msg=place)
        else:
            assert np.array_equal(held, wanted), place


def named(pair: Pair) -> dict[str, Any]:
    """Every variable by torch's name."""
    from fanin.frameworks import adapter_for

    target = adapter_for(pair.keras).target(pair.keras, rename=pair.rename)
    return {name: slot.variable for name, slot in target.slots.items()}


@pytest.mark.parametrize("name", PAIRS)
def test_the_same_weights_give_the_same_loss(name: str) -> None:
    pair = PAIRS[name]()
    fanin.initialize(pair.keras, 5, pair.inputs, rename=pair.rename)
    fanin.initialize(pair.torch, 5, pair.torch_inputs)
    rng = np.random.default_rng(0)
    if pair.inputs.dtype == np.int32:
        x = rng.integers(0, 50, pair.inputs.shape).astype(np.int32)
    else:
        x = rng.standard_normal(pair.inputs.shape).astype(np.float32)
    given = torch.from_numpy(x)
    if x.ndim == 4:
        given = given.permute(0, 3, 1, 2)
    ours = keras.ops.convert_to_numpy(pair.keras(x, training=False))
    with torch.no_grad():
        theirs = pair.torch.eval()(given).numpy()
    np.testing.assert_allclose(ours, theirs, atol=2e-5, rtol=1e-4)
