"""Modules: what the module tree tells of every parameter, without a run of the model."""

import math
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _WeightNorm
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from fanin.axes import Axes, equal_blocks, no_roles, parse_axes
from fanin.frameworks._bare import is_drawn_bias
from fanin.frameworks.torch.draws._records import Mark, find_mark, find_note
from fanin.frameworks.torch.tree._activations import activations
from fanin.frameworks.torch.tree._bare import (
    Shapes,
    constant_value,
    factors_of_frozen,
    low_rank_outputs,
    norms_of_frozen,
    role_by_shape,
    shapes_in,
    updates_of_frozen,
)
from fanin.frameworks.torch.tree._recurrent import gates_of
from fanin.param import Kind

_NORMALIZATIONS = (
    nn.modules.batchnorm._NormBase,  # batch and instance normalizations
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)
_TABLES = (nn.Embedding, nn.EmbeddingBag)
_HOOKS = (WeightNorm, SpectralNorm, BasePruningMethod)

KindAndAxes = tuple[Kind, Axes]


class Role(NamedTuple):
    """What a parameter is: the fields of its Param that the module tree decides."""

    kind: Kind
    axes: Axes
    owner: str
    made: float | None
    trainable: bool
    activation: Callable[..., Any] | None = None


def roles(model: nn.Module) -> dict[int, Role]:
    """The role of every parameter that has a shape, by its id.

    A tied parameter has the role in its embedding, else in the module registered first.
    """
    modules = [*model.modules()]
    homes = _find_parametrized(modules)
    frozen = not all(
        tensor is None or tensor.requires_grad
        for module in modules
        for tensor in module._parameters.values()
    )
    updates = updates_of_frozen(model) if frozen else []
    increments = low_rank_outputs(updates, _find_zeros(model) if updates else ())
    factors, norms = factors_of_frozen(updates), norms_of_frozen(model) if frozen else set()
    found: dict[int, Role] = {}
    weights: dict[int, list[int]] = {}  # the weights of a module, by their ids
    for module in modules:
        if not module._parameters:
            continue
        home, weight = homes.get(id(module), (module, None))
        siblings = shapes_in(home)
        for attribute, tensor in module._parameters.items():
            if tensor is None or is_lazy(tensor):
                continue
            if id(tensor) in found and not isinstance(module, _TABLES):
                continue
            mark = find_mark(module, attribute, tensor)
            made = _find_constant(module, attribute, tensor, mark)
            role = _role(home, weight or attribute, attribute, tensor, made, siblings)
            if id(tensor) in factors:
                role = role._replace(kind="factor")
            elif id(tensor) in increments:
                role = role._replace(kind="shift")
            elif id(tensor) in norms or (mark is not None and mark.norms):
                role = role._replace(kind="norms")
            found[id(tensor)] = role
            if role.kind in ("weight", "direction"):
                weights.setdefault(id(home), []).append(id(tensor))
    single = {item: tensors[0] for item, tensors in weights.items() if len(tensors) == 1}
    for item, activation in activations(modules, single.keys()).items():
        found[single[item]] = found[single[item]]._replace(activation=activation)
    return found


def _find_zeros(model: nn.Module) -> set[int]:
    """The ids of trainable matrices that the constructor made zero."""
    return {
        id(tensor)
        for module in model.modules()
        for attribute, tensor in module._parameters.items()
        if tensor is not None
        and not is_lazy(tensor)
        and tensor.requires_grad
        and tensor.ndim == 2
        and _find_constant(module, attribute, tensor, find_mark(module, attribute, tensor)) == 0
    }


def _find_constant(
    module: nn.Module, attribute: str, tensor: torch.Tensor, mark: Mark | None
) -> float | None:
    """The one value that the constructor gave to all elements, as remembered of a trained one."""
    if mark is not None and not tensor.is_meta:
        return mark.made
    return constant_value(find_note(module, attribute, tensor))


def _fan_in(module: nn.Module) -> int | None:
    """What torch draws a bias by, from sizes alone: to read a parametrized weight may change it."""
    match module:
        case nn.Linear():
            return module.in_features
        case nn.Bilinear():
            return module.in1_features
        case nn.RNNBase() | nn.RNNCellBase():
            return module.hidden_size
        case nn.modules.conv._ConvNd():
            inputs = module.out_channels if module.transposed else module.in_channels
            return inputs // module.groups * math.prod(module.kernel_size)
    return None


def _find_parametrized(modules: Sequence[nn.Module]) -> dict[int, tuple[nn.Module, str]]:
    """The module and the weight that each list of parametrizations belongs to."""
    return {
        id(parametrization): (module, name)
        for module in modules
        if "parametrizations" in module._modules and parametrize.is_parametrized(module)
        for name, parametrization in module.parametrizations.items()  # type: ignore[operator,union-attr]
    }


def _role(
    module: nn.Module,
    weight: str,
    attribute: str,
    tensor: torch.Tensor,
    made: float | None,
    siblings: Shapes,
) -> Role:
    """The role of what `module` stores as `attribute` for what it uses as `weight`."""
    shape = tuple(tensor.shape)
    placed = _find_role(module, weight, attribute, shape)
    own: type = type(module)
    owner = _torch_class(own) if placed else own
    kind, axes = placed or role_by_shape(module, attribute, shape, made, siblings)
    # A trained model, or one without memory, does not show what its constructor made.
    if isinstance(module, nn.PReLU):
        made = module.init
    elif kind == "bias" and placed and is_drawn_bias(shape, made, _fan_in(module)):
        made = None
    elif isinstance(module, _NORMALIZATIONS):
        identity = 1.0 if kind == "scale" else 0.0
        made = made if made == 0 else identity  # a last scale of zero is a method
    return Role(kind, axes, owner.__name__, made, tensor.requires_grad)


@lru_cache(1 << 10)
def _torch_class(own: type) -> type:
    """The class of torch that a module of this class is, or comes from."""
    return next(
        (kind for kind in own.__mro__ if kind.__module__.startswith("torch.nn.modules")), own
    )


def _find_role(
    module: nn.Module, weight: str, attribute: str, shape: tuple[int, ...]
) -> KindAndAxes | None:
    """The role of a parameter of a class that torch has, parametrized or not."""
    split = False
    if weight != attribute:  # in a list of parametrizations
        kinds = module.parametrizations[weight]  # type: ignore[index]
        split = isinstance(kinds[0], _WeightNorm)
        whole = attribute == ("original1" if split else "original")
    else:
        for hook in module._forward_pre_hooks.values():
            name = getattr(hook, "name", getattr(hook, "_tensor_name", None))
            if isinstance(hook, _HOOKS) and attribute in (f"{name}_{end}" for end in _ENDS):
                weight, split = str(name), isinstance(hook, WeightNorm)
        whole = not (split and attribute.endswith("_g"))
    if weight != attribute and not whole:
        return ("magnitude" if split else "other"), no_roles(shape)
    placed = _role_in_class(module, weight, shape)
    if placed is None and weight != attribute:
        placed = role_by_shape(module, weight, shape, None, shapes_in(module))
    if placed is not None and split:
        return "direction", placed[1]
    return placed


_ENDS = ("g", "v", "orig")  # of what hooks store instead of a weight


def _role_in_class(module: nn.Module, attribute: str, shape: tuple[int, ...]) -> KindAndAxes | None:
    """The role of a parameter in a module of a known class; None in any other."""
    match module:
        case nn.RNNBase() | nn.RNNCellBase():
            return _recurrent(module, attribute, shape)
        case nn.MultiheadAttention():
            return _attention(attribute, shape)
    if attribute == "bias" and isinstance(
        module, (nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd)
    ):
        return "bias", no_roles(shape)
    if isinstance(module, _NORMALIZATIONS) and attribute in ("weight", "bias"):
        return ("scale" if attribute == "weight" else "shift"), no_roles(shape)
    if attribute != "weight":
        return None
    match module:
        case nn.Linear():
            return "weight", parse_axes(None, shape)
        case nn.modules.conv._ConvNd():
            return "weight", _convolution(module)
        case nn.Bilinear():
            return "weight", Axes(("out", "in", "in"))
        case nn.Embedding() | nn.EmbeddingBag():
            return "table", Axes(("stack", "out"))
        case nn.PReLU():
            return "scale", no_roles(shape)
    if _is_transposed_linear(module):
        return "weight", Axes(("in", "out"))
    return None


def _convolution(module: nn.modules.conv._ConvNd) -> Axes:
    channels = ("in", "out") if module.transposed else ("out", "in")
    stride = module.stride[0] if len(set(module.stride)) == 1 else module.stride
    kernel = ("kernel",) * len(module.stride)
    return Axes((*channels, *kernel), module.groups, module.transposed, stride)


def _recurrent(module: nn.Module, attribute: str, shape: tuple[int, ...]) -> KindAndAxes | None:
    gates = gates_of(module)
    match attribute.split("_")[:2]:
        case ["weight", "ih"]:
            return "weight", _pack(gates, shape)
        case ["weight", "hh"]:
            return "recurrent", _pack(gates, shape)
        case ["weight", "hr"]:  # projects the hidden state
            return "weight", Axes(("out", "in"))
        case ["bias", "ih"]:
            return "bias", _pack(gates, shape)
        case ["bias", "hh"]:  # added to the other: one alone tells gates apart, or rules act twice
            return "bias", no_roles(shape)
    return None


def _pack(gates: int, shape: tuple[int, ...]) -> Axes:
    return equal_blocks(gates, Axes(("out", "in")[: len(shape)]), shape)


def _attention(attribute: str, shape: tuple[int, ...]) -> KindAndAxes | None:
    if attribute == "in_proj_weight":
        return "weight", equal_blocks(3, Axes(("out", "in")), shape)
    if attribute.endswith("_proj_weight"):
        return "weight", Axes(("out", "in"))
    if attribute == "in_proj_bias":
        return "bias", no_roles(shape)
    if attribute in ("bias_k", "bias_v"):  # one more position of keys and values
        return "table", no_roles(shape)
    return None


def _is_transposed_linear(module: nn.Module) -> bool:
    """transformers' Conv1D: a linear layer that stores (in, out), which no shape tells."""
    library = sys.modules.get("transformers.pytorch_utils")
    return library is not None and isinstance(module, library.Conv1D)
