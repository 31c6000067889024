"""Equinox's layers: the role of each array that a module of equinox.nn holds.

Kernels are stored as in torch, (out, in, ...), and gates are packed in torch's order: an LSTM's
input, forget, cell, output; a GRU's reset, update, new.
"""

import math
from typing import Any

import equinox as eqx
from equinox import nn
from jax.tree_util import DictKey, GetAttrKey, SequenceKey

from fanin.axes import Axes, equal_blocks, no_roles
from fanin.frameworks.jax.tree._held import Held, Placed, is_real, part_of
from fanin.param import Kind

_NORMALIZATIONS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.BatchNorm)
_GATES = ((nn.LSTMCell, 4), (nn.GRUCell, 3))


def held_in(model: eqx.Module, path: tuple[Any, ...], value: Any) -> Held:
    """An array at a path of the model, with what the module that holds it tells.

    What `Shared` wraps is named as if it stood there itself; what a `StateIndex` holds is a state.
    """
    parts: list[str] = []
    nodes: list[Any] = [model]
    for key in path:
        if not (isinstance(nodes[-1], nn.Shared) and part_of(key) == "pytree"):
            parts.append(part_of(key))
        nodes.append(_child(nodes[-1], key))
    *above, holder, _ = nodes
    trained = is_real(value) and not any(isinstance(node, nn.StateIndex) for node in nodes)
    held = Held(tuple(parts), value, trained, type(holder).__name__)
    if isinstance(holder, eqx.Module):
        held.owner = _library_class(holder)
        held.placed = _find_place(holder, parts[-1], held.shape)
        held.made = _constant(holder, parts[-1])
        held.fan_in = _fan_in(holder) if parts[-1] == "bias" else None
        around = above[-1] if above else None
        if isinstance(around, nn.WeightNorm) and around.weight_name == parts[-1] and held.placed:
            held.placed = ("direction", held.placed[1])
    else:
        inner = next((node for node in reversed(above) if isinstance(node, eqx.Module)), model)
        held.owner = _library_class(inner)
    return held


def _child(node: Any, key: Any) -> Any:
    match key:
        case GetAttrKey(name=name):
            return getattr(node, name, None)
        case SequenceKey(idx=at) | DictKey(key=at):
            return node[at]
    return None


def _find_place(module: eqx.Module, attribute: str, shape: tuple[int, ...]) -> Placed | None:
    """The role of an array in a module of a known class; None in any other."""
    for kind, gates in _GATES:
        if isinstance(module, kind):
            return _recurrent(gates, attribute, shape)
    if isinstance(module, _NORMALIZATIONS) and attribute in ("weight", "bias"):
        return ("scale" if attribute == "weight" else "shift"), no_roles(shape)
    if isinstance(module, nn.WeightNorm) and attribute == "g":
        return "magnitude", no_roles(shape)
    if isinstance(module, nn.PReLU):
        return "scale", no_roles(shape)
    if attribute == "bias" and isinstance(module, (nn.Linear, nn.Conv, nn.ConvTranspose)):
        return "bias", no_roles(shape)
    if attribute != "weight":
        return None
    match module:
        case nn.Linear():
            return "weight", Axes(("out", "in"))
        case nn.Conv() | nn.ConvTranspose():
            return "weight", _convolution(module)
        case nn.Embedding():
            return "table", Axes(("stack", "out"))
    return None


def _constant(module: eqx.Module, attribute: str) -> float | None:
    """What a known class gives to every element; None where it draws."""
    if isinstance(module, _NORMALIZATIONS) and attribute in ("weight", "bias"):
        return 1.0 if attribute == "weight" else 0.0
    return 0.25 if isinstance(module, nn.PReLU) else None


def _fan_in(module: eqx.Module) -> int | None:
    """What the library draws a bias by."""
    match module:
        case nn.Linear():
            return 1 if module.in_features == "scalar" else module.in_features
        case nn.Conv() | nn.ConvTranspose():
            return module.in_channels // module.groups * math.prod(module.kernel_size)
    return None


def _library_class(module: object) -> str:
    """The class of equinox.nn that a module is or comes from, else its own."""
    kinds = type(module).__mro__
    known = (kind for kind in kinds if kind.__module__.startswith("equinox.nn."))
    return next(known, type(module)).__name__


def _convolution(module: nn.Conv | nn.ConvTranspose) -> Axes:
    """A grouped transposed one splits the stored `in` axis, which Axes says of plain ones."""
    strides = tuple(module.stride)
    stride = strides[0] if len(set(strides)) == 1 else strides
    transposed = isinstance(module, nn.ConvTranspose) and module.groups == 1
    stride = stride if transposed or isinstance(module, nn.Conv) else 1
    roles = ("out", "in", *("kernel",) * len(strides))
    return Axes(roles, module.groups, transposed, stride)


def _recurrent(gates: int, attribute: str, shape: tuple[int, ...]) -> Placed | None:
    if attribute == "bias_n":  # of the new gate's state: beside `bias`, which tells gates apart
        return "bias", no_roles(shape)
    kinds: dict[str, Kind] = {"weight_ih": "weight", "weight_hh": "recurrent", "bias": "bias"}
    if attribute not in kinds:
        return None
    return kinds[attribute], equal_blocks(gates, Axes(("out", "in")[: len(shape)]), shape)
