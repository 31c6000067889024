"""Roles: what a variable of each layer of Keras is, and what its axes are, without a run."""

import math
from typing import Any, NamedTuple

import keras
import numpy as np

from fanin.axes import Axes, equal_blocks, no_roles
from fanin.frameworks._bare import bare_role
from fanin.frameworks.keras._values import constant_value
from fanin.frameworks.keras._walk import parameters
from fanin.param import Kind

_layers = keras.layers
_CONVOLUTIONS = (_layers.Conv1D, _layers.Conv2D, _layers.Conv3D)
_TRANSPOSED = (_layers.Conv1DTranspose, _layers.Conv2DTranspose, _layers.Conv3DTranspose)
_DEPTHWISE = (_layers.DepthwiseConv1D, _layers.DepthwiseConv2D)
_SEPARABLE = (_layers.SeparableConv1D, _layers.SeparableConv2D)
_NORMALIZATIONS = (
    _layers.BatchNormalization,
    _layers.LayerNormalization,
    _layers.GroupNormalization,
    *(kind for name in ("RMSNormalization",) if (kind := getattr(_layers, name, None))),
)
_LINEAR = (_layers.Dense, _layers.EinsumDense)

# The gates of Keras's GRU are update, reset, new; torch's reset, update, new. What is drawn is in
# torch's order, so that a gate has the same values in both: here is which gate each block is.
_GRU_ORDER = (1, 0, 2)


class Role(NamedTuple):
    """The kind and the axes of a variable.

    `gates` says which block of what is drawn each block of its last axis holds, where the layer
    packs gates in another order than torch.
    """

    kind: Kind
    axes: Axes
    gates: tuple[int, ...] = ()


def role_of(layer: Any, leaf: str, shape: tuple[int, ...], made: float | None) -> Role:
    """The role of what a layer keeps as `leaf`; "other" where its shape leaves that open."""
    return find_role(layer, leaf, shape) or _bare(layer, leaf, shape, made)


def find_role(layer: Any, leaf: str, shape: tuple[int, ...]) -> Role | None:
    """The role of a variable in a layer of Keras's own; None in any other."""
    if isinstance(layer, (_layers.LSTMCell, _layers.GRUCell, _layers.SimpleRNNCell)):
        return _recurrent(layer, leaf, shape)
    if _is_conv_lstm_cell(layer):
        return _conv_lstm(leaf, shape)
    if isinstance(layer, _NORMALIZATIONS) and leaf in ("gamma", "scale", "beta"):
        return Role("shift" if leaf == "beta" else "scale", no_roles(shape))
    if isinstance(layer, (_layers.PReLU, _layers.Attention)):
        return Role("scale", no_roles(shape))
    convolution = isinstance(layer, (*_CONVOLUTIONS, *_TRANSPOSED, *_DEPTHWISE, *_SEPARABLE))
    if leaf == "bias" and (convolution or isinstance(layer, _LINEAR)):
        return Role("bias", no_roles(shape))
    if leaf == "lora_kernel_b" or leaf == "lora_embeddings_b":  # an update starts at zero by it
        return Role("shift", no_roles(shape))
    axes = _weight(layer, leaf, shape)
    if axes is not None:
        return Role("weight", axes)
    if isinstance(layer, _layers.Embedding) and leaf == "embeddings":
        return Role("table", Axes(("stack", "out")))
    return None


def _weight(layer: Any, leaf: str, shape: tuple[int, ...]) -> Axes | None:
    """The axes of a weight of a linear layer or a convolution."""
    if isinstance(layer, _layers.EinsumDense) and leaf == "kernel":
        return _einsum(layer.equation, shape)
    if isinstance(layer, _layers.Dense) and leaf == "kernel":
        return Axes(("in", "out"))
    if isinstance(layer, _layers.Embedding) and leaf == "reverse_embeddings":
        return Axes(("in", "out"))
    positions = ("kernel",) * (len(shape) - 2)
    if isinstance(layer, _CONVOLUTIONS) and leaf == "kernel":
        return Axes((*positions, "in", "out"), layer.groups, stride=_stride(layer))
    if isinstance(layer, _TRANSPOSED) and leaf == "kernel":
        return Axes((*positions, "out", "in"), transposed=True, stride=_stride(layer))
    if isinstance(layer, _DEPTHWISE) and leaf == "kernel":
        return _each_channel(layer, shape)
    if isinstance(layer, _SEPARABLE) and leaf == "depthwise_kernel":
        return _each_channel(layer, shape)
    if isinstance(layer, _SEPARABLE) and leaf == "pointwise_kernel":
        return Axes((*positions, "in", "out"))
    return None


def _each_channel(layer: Any, shape: tuple[int, ...]) -> Axes:
    """Of a depthwise kernel, (kernel, channels, multiplier): as many groups as channels."""
    *kernel, channels, multiplier = shape
    last = "out" if multiplier > 1 else "in"  # each group reads one channel
    roles = (*("kernel",) * len(kernel), "out", last)
    return Axes(roles, groups=channels, stride=_stride(layer))


def _stride(layer: Any) -> int | tuple[int, ...]:
    strides = layer.strides
    if isinstance(strides, int):
        return strides
    return int(strides[0]) if len(set(strides)) == 1 else tuple(map(int, strides))


def _einsum(equation: str, shape: tuple[int, ...]) -> Axes | None:
    """The roles of the axes of an EinsumDense kernel, from "abc,cde->abde"."""
    sources, _, result = equation.replace(" ", "").partition("->")
    given, _, kernel = sources.partition(",")
    if len(kernel) != len(shape):
        return None
    roles = {(True, True): "stack", (True, False): "in", (False, True): "out"}
    return Axes(tuple(roles.get((item in given, item in result), "in") for item in kernel))


def _recurrent(layer: Any, leaf: str, shape: tuple[int, ...]) -> Role | None:
    order = _GRU_ORDER if isinstance(layer, _layers.GRUCell) else ()
    gates = 4 if isinstance(layer, _layers.LSTMCell) else 3 if order else 1
    kinds: dict[str, tuple[Kind, tuple[str, ...]]] = {
        "kernel": ("weight", ("in", "out")),
        "recurrent_kernel": ("recurrent", ("in", "out")),
        # A GRU has two: what is added to the input's part, and to the state's.
        "bias": ("bias", ("stack", "out")[-len(shape) :]),
    }
    if leaf not in kinds:
        return None
    kind, roles = kinds[leaf]
    return Role(kind, equal_blocks(gates, Axes(roles), shape), order)


def _is_conv_lstm_cell(layer: Any) -> bool:
    """Whether a layer is the cell of a convolutional LSTM, whose class is not public."""
    return type(layer).__name__ == "ConvLSTMCell" and type(layer).__module__.startswith("keras.")


def _conv_lstm(leaf: str, shape: tuple[int, ...]) -> Role | None:
    if leaf == "bias":
        return Role("bias", equal_blocks(4, Axes(("out",)), shape))
    if leaf not in ("kernel", "recurrent_kernel"):
        return None
    axes = Axes((*("kernel",) * (len(shape) - 2), "in", "out"))
    return Role("weight", equal_blocks(4, axes, shape))


def _bare(layer: Any, leaf: str, shape: tuple[int, ...], made: float | None) -> Role:
    """The role of a variable of a class that nobody knows, by its shape and its neighbours."""
    own = [place for places in parameters({"": layer}).values() for place in places]
    siblings = {place.name: tuple(place.variable.shape) for place in own}
    attribute = next((place.name for place in own if place.leaf == leaf), leaf)
    layout = Axes((*("kernel",) * (len(shape) - 2), "in", "out")) if len(shape) > 1 else None
    inner = any(True for _ in layer._flatten_layers(include_self=False))
    told = bare_role(attribute, shape, made, siblings, not inner, layout)
    return Role(*told)


def find_initializer(layer: Any, leaf: str) -> Any:
    """The initializer that a layer has for a variable; None where it names none."""
    name = leaf.removesuffix("_kernel") if leaf.endswith("_kernel") else leaf
    if isinstance(layer, _DEPTHWISE) and leaf == "kernel":
        name = "depthwise"
    return getattr(layer, f"{name}_initializer", None)


def find_constant(layer: Any, leaf: str, variable: Any) -> float | None:
    """The one number that the layer makes all elements of a variable of; None where it draws.

    From the layer's initializer, which a trained model has too, else from the values.
    """
    initializer = find_initializer(layer, leaf)
    if initializer is None:
        return constant_value(variable)
    if isinstance(initializer, keras.initializers.Zeros):
        return 0.0
    if isinstance(initializer, keras.initializers.Ones):
        return 1.0
    if isinstance(initializer, keras.initializers.Constant) and np.ndim(initializer.value) == 0:
        value = float(initializer.value)
        return value if math.isfinite(value) else None
    return None
