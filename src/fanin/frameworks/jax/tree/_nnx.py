"""Flax NNX's layers: the role of each variable that a module of flax.nnx holds.

Kernels are (..., in, out), and gates are packed in torch's order: an LSTM's input, forget, cell,
output; a GRU's reset, update, new.
"""

from typing import Any

from flax import nnx

from fanin.axes import Axes, equal_blocks, no_roles
from fanin.frameworks.jax.tree._held import Placed
from fanin.frameworks.jax.tree._layouts import convolution, einsum_axes, general, transpose

_NORMALIZATIONS = (nnx.BatchNorm, nnx.LayerNorm, nnx.RMSNorm, nnx.GroupNorm, nnx.InstanceNorm)
_LINEAR = (nnx.Linear, nnx.LinearGeneral, nnx.Einsum, nnx.Conv, nnx.ConvTranspose)
# Cells with one dense layer for the inputs and one for the state, and the gates packed in both.
_PACKED = ((nnx.OptimizedLSTMCell, 4), (nnx.GRUCell, 3), (nnx.SimpleCell, 1))
_CELLS = (*(kind for kind, _ in _PACKED), nnx.LSTMCell)


def find_place_in(
    module: Any, attribute: str, shape: tuple[int, ...], around: Any, called: str
) -> Placed | None:
    """The role of a variable in a module of a known class; None in any other.

    `around` is the module that holds this one, under the name `called`.
    """
    found = _find_place(module, attribute, shape)
    if found is None or not isinstance(around, _CELLS) or attribute not in ("kernel", "bias"):
        return found
    gates = next((count for kind, count in _PACKED if isinstance(around, kind)), 1)
    state = called.removeprefix("dense_").startswith("h")  # else the inputs'
    if attribute == "kernel":
        packed = equal_blocks(gates, Axes(("in", "out")), shape)
        return ("recurrent" if state else "weight"), packed
    return "bias", equal_blocks(gates, Axes(("out",)), shape)


def _find_place(module: Any, attribute: str, shape: tuple[int, ...]) -> Placed | None:
    if isinstance(module, _NORMALIZATIONS) and attribute in ("scale", "bias"):
        return ("scale" if attribute == "scale" else "shift"), no_roles(shape)
    if isinstance(module, nnx.PReLU):
        return "scale", no_roles(shape)
    if isinstance(module, nnx.LoRA) and attribute in ("lora_a", "lora_b"):
        return ("weight" if attribute == "lora_a" else "shift"), Axes(("in", "out"))
    if attribute == "bias" and isinstance(module, _LINEAR):
        return "bias", no_roles(shape)
    if isinstance(module, nnx.Embed) and attribute == "embedding":
        return "table", Axes(("stack", "out"))
    if attribute != "kernel":
        return None
    match module:
        case nnx.Linear():
            return "weight", Axes(("in", "out"))
        case nnx.LinearGeneral():
            features = module.batch_axis, module.in_features, module.out_features
            return "weight", general(*map(len, features))
        case nnx.Einsum() if module.einsum_str:
            return "weight", einsum_axes(module.einsum_str)
        case nnx.Conv():
            return "weight", convolution(len(shape), module.strides, module.feature_group_count)
        case nnx.ConvTranspose():
            return "weight", transpose(len(shape), module.strides, module.transpose_kernel)
    return None


def gate_in(attribute: str, around: Any, called: str) -> str:
    """The gate that a bias is of alone: of a cell whose gates are modules of their own."""
    own = isinstance(around, nnx.LSTMCell) and attribute == "bias"
    return "forget" if own and called == "hf" else ""


def constant_in(module: Any, attribute: str) -> float | None:
    """What a known class gives to every element; None where it draws, or was told."""
    if isinstance(module, _NORMALIZATIONS) and attribute in ("scale", "bias"):
        return 1.0 if attribute == "scale" else 0.0
    return None
