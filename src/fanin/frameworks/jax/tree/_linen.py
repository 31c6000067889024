"""Flax Linen's layers: the role of each parameter, by the module that a run shows to hold it.

Variables are a tree of names, which says nothing of modules; a run on abstract arrays does.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax
from flax import linen as nn
from flax.core import meta

from fanin.axes import Axes, no_roles
from fanin.frameworks.jax.tree._held import Placed
from fanin.frameworks.jax.tree._layouts import convolution, einsum_axes, general, transpose

Path = tuple[str, ...]

_NORMALIZATIONS = (nn.BatchNorm, nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.InstanceNorm)
_LINEAR = (nn.Dense, nn.DenseGeneral, nn.Einsum, nn.Conv, nn.ConvLocal, nn.ConvTranspose)


class Seen(NamedTuple):
    """A module that ran, and the shapes of its own parameters inside lifted transformations."""

    module: nn.Module
    shapes: Mapping[str, tuple[int, ...]]


def list_modules(run: Callable[..., Any], *abstract: Any) -> dict[Path, Seen]:
    """Every module that runs, by its path; `run` is traced on abstract arrays."""
    found: dict[Path, Seen] = {}

    def note(
        call: Any, arguments: Any, keywords: Any, context: nn.module.InterceptorContext
    ) -> Any:
        module = context.module
        path = tuple(module.path)
        if path not in found and module.scope is not None:
            own = meta.unbox(module.variables.get("params", {}))
            shapes = {
                name: tuple(value.shape) for name, value in own.items() if hasattr(value, "shape")
            }
            found[path] = Seen(module, shapes)
        return call(*arguments, **keywords)

    with nn.intercept_methods(note):
        jax.eval_shape(run, *abstract)
    return found


def find_place_in(seen: Mapping[Path, Seen], path: Path, shape: tuple[int, ...]) -> Placed | None:
    """The role of a parameter; one of scanned or mapped layers has their axis as `stack`."""
    known = seen.get(path[:-1])
    if known is None:
        return None
    attribute = path[-1]
    inner = known.shapes.get(attribute, shape)
    around = seen.get(path[:-2])
    cell = around is not None and isinstance(around.module, nn.RNNCellBase)
    found = _find_place(known.module, attribute, inner)
    if found is None:
        return None
    kind, axes = found
    if cell and kind == "weight" and path[-2].startswith("h"):  # else of the inputs
        kind = "recurrent"
    return kind, _lift(axes, inner, shape)


def gate_in(seen: Mapping[Path, Seen], path: Path) -> str:
    """The gate that a bias is of alone, as in both of Linen's LSTM cells."""
    around = seen.get(path[:-2])
    cell = around is not None and isinstance(around.module, nn.LSTMCell | nn.OptimizedLSTMCell)
    return "forget" if cell and path[-2:] == ("hf", "bias") else ""


def _lift(axes: Axes, inner: tuple[int, ...], shape: tuple[int, ...]) -> Axes:
    """The axes with `stack` where a transformation put axes of its own: the first that fit."""
    more = len(shape) - len(inner)
    for at in range(len(inner) + 1):
        if more > 0 and shape[:at] + shape[at + more :] == inner:
            roles = (*axes.roles[:at], *("stack",) * more, *axes.roles[at:])
            return replace(axes, roles=roles)
    return axes


def _find_place(module: nn.Module, attribute: str, shape: tuple[int, ...]) -> Placed | None:
    if isinstance(module, _NORMALIZATIONS) and attribute in ("scale", "bias"):
        return ("scale" if attribute == "scale" else "shift"), no_roles(shape)
    if isinstance(module, nn.PReLU):
        return "scale", no_roles(shape)
    dense = isinstance(module, nn.recurrent.DenseParams)
    if attribute == "bias" and (dense or isinstance(module, _LINEAR)):
        return "bias", no_roles(shape)
    if isinstance(module, nn.Embed) and attribute == "embedding":
        return "table", Axes(("stack", "out"))
    if attribute != "kernel":
        return None
    return ("weight", Axes(("in", "out"))) if dense else _kernel(module, shape)


def _kernel(module: nn.Module, shape: tuple[int, ...]) -> Placed | None:
    match module:
        case nn.Dense():
            return "weight", Axes(("in", "out"))
        case nn.DenseGeneral():
            return "weight", general(
                *map(_count, (module.batch_dims, module.axis, module.features))
            )
        case nn.Einsum() if module.einsum_str:
            return "weight", einsum_axes(module.einsum_str)
        case nn.Conv():
            return "weight", convolution(len(shape), module.strides, module.feature_group_count)
        case nn.ConvLocal():
            return "weight", Axes((*("stack",) * (len(shape) - 2), "in", "out"))
        case nn.ConvTranspose():
            return "weight", transpose(len(shape), module.strides, module.transpose_kernel)
    return None


def _count(value: Any) -> int:
    return len(value) if hasattr(value, "__len__") else 1


def constant_in(seen: Mapping[Path, Seen], path: Path) -> float | None:
    """What a known class gives to every element; None where it draws, or was told."""
    known = seen.get(path[:-1])
    if known is None or not isinstance(known.module, _NORMALIZATIONS):
        return None
    return {"scale": 1.0, "bias": 0.0}.get(path[-1])


def by_convention(path: Path, shape: tuple[int, ...], siblings: Collection[str]) -> Placed | None:
    """The role that Flax's own layers give to a name, where no run shows the module.

    A kernel of two axes is (in, out), of four or more (kernel ..., in, out); one of three may be
    a convolution's or an attention's.
    """
    match path[-1]:
        case "kernel" if len(shape) == 2 or len(shape) > 3:
            return "weight", convolution(len(shape), None, 1)
        case "embedding" if len(shape) == 2:
            return "table", Axes(("stack", "out"))
        case "bias" if "kernel" in siblings:
            return "bias", no_roles(shape)
    return None
