"""Aten: which handler translates which operation of torch, and what happens to the others."""

from dataclasses import replace
from functools import cache
from typing import Any

import torch

from fanin.frameworks.recording._masks import remember_view
from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor, Noise, TensorEntry
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.frameworks.torch.operations import (
    _elementwise,
    _masks,
    _matrices,
    _moves,
    _products,
    _reductions,
    _windows,
)
from fanin.frameworks.torch.operations._following import follow, is_pointwise
from fanin.frameworks.torch.operations._joint import jointly
from fanin.frameworks.torch.operations._writes import ONE_HOT
from fanin.frameworks.torch.record._call import Call

_TABLE = {
    **_moves.TABLE,
    **_elementwise.TABLE,
    **_products.TABLE,
    **_reductions.TABLE,
    **_windows.TABLE,
}

# Random values by operation: kind, and the argument that says how many are kept.
_NOISE = {
    **dict.fromkeys(("bernoulli",), "bernoulli"),
    **dict.fromkeys(("rand", "rand_like", "uniform"), "uniform"),
    **dict.fromkeys(("randn", "randn_like", "normal"), "normal"),
}

# Of another tensor they take the shape and no values.
FACTORIES = frozenset(
    (
        *("empty_like", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like"),
        *("randint_like", "new_empty", "new_zeros", "new_ones", "new_full", "new_empty_strided"),
    )
)


@cache
def is_known(func: Any) -> bool:
    """Whether there is a handler; the others are better recorded as what they consist of."""
    name = func.overloadpacket.__name__
    plain = name.removesuffix("_") if func._schema.is_mutable else name
    listed = plain in _TABLE or plain in _moves.PLAIN_VIEWS or plain in FACTORIES
    return listed or is_pointwise(func)


def translate(call: Call) -> list[TensorEntry]:
    """What every tensor that the operation returned is, in order."""
    outs = call.outs
    entries = call.entries
    known = not any(isinstance(entry, (ActivationTensor, ParameterTensor)) for entry in entries)
    if known or call.name in FACTORIES:
        return [ConstantTensor(noise=_noise(call)) for _ in outs]
    key = call.key()
    before = call.recorder.made.get(key) if key is not None else None
    if before is not None and _shows(call):
        return before
    first = len(call.recorder.nodes)
    found = _first(call, outs[0], entries)
    made = found if isinstance(found, list) else [found]
    made += [_side(call, out, made[0]) for out in outs[len(made) :]]
    _note_masks(call, made)
    _note_integers(call, entries, made)
    jointly(call, made, first)
    _matrices.follow(call, made)
    made = [follow(call, item, index) for index, item in enumerate(made)]
    call.recorder.note_twins(key, made)
    return made


def _shows(call: Call) -> bool:
    """Whether an operation only shows elements of what it got: the same again is the same."""
    if call.name in ("index", "index_select", "gather"):
        return not isinstance(call.entry(call.first), ParameterTensor)  # of those it is a lookup
    return call.name in _moves.VIEWS or call.name in _moves.PLAIN_VIEWS


def _first(
    call: Call, out: torch.Tensor, entries: list[TensorEntry]
) -> TensorEntry | list[TensorEntry]:
    real = out.is_floating_point() or out.is_complex()
    active = any(isinstance(entry, ActivationTensor) for entry in entries)
    counts = _masks.compares(call) or (_masks.follows(call) and is_known(call.func))
    if not real and not counts and call.name not in ("split", "unbind", "split_with_sizes"):
        label = ONE_HOT if _is_one_hot(call) else "integers"
        return call.view(label) if active else ConstantTensor()
    handler = _TABLE.get(call.name)
    if handler is not None:
        return handler(call)
    if is_pointwise(call.func):
        return _elementwise.apply_pointwise(call)
    if not active:
        weight = call.entry(call.first)
        if isinstance(weight, ParameterTensor):
            return weight.through(call.name, keeps_axes=False)
        return call.view()
    for source, entry in zip(call.inputs(), call.entries, strict=True):
        if isinstance(entry, ParameterTensor):
            call.activation(source)  # it is used, whatever for
    if call.name in _moves.PLAIN_VIEWS:
        return call.view()
    # Beside what is made of parameters alone, data: of a system, say, the side that it solves for.
    sources = [call.activation(item) for item in call.activations()]
    data = [source for source in sources if source.node not in call.recorder.parametric]
    label = f"unknown: {call.name}"
    return call.recorder.emit("view", (data or sources)[:1], call.shape, label=label)


def _is_one_hot(call: Call) -> bool:
    """Whether integers are compared with all those that they may be: how torch makes one-hots."""
    if call.name != "eq" or not isinstance(call["other"], torch.Tensor):
        return False
    entries = [call.entry(call["self"]), call.entry(call["other"])]
    known = [
        entry.value
        for entry in entries
        if isinstance(entry, ConstantTensor) and entry.value is not None
    ]
    classes = known[0].reshape(-1) if known else torch.zeros(0, device="cpu")
    size = call.shape[-1] if call.shape else 0
    return len(classes) == size > 1 and torch.equal(classes, torch.arange(size, device="cpu"))


def _side(call: Call, out: torch.Tensor, first: TensorEntry) -> TensorEntry:
    """Results beside the first: indices, saved statistics, the same values once more."""
    if isinstance(first, ActivationTensor) and tuple(out.shape) == call.shape:
        real = out.is_floating_point()
        return first if real else call.view("integers")
    return ConstantTensor()


def _note_masks(call: Call, made: list[TensorEntry]) -> None:
    """What shows elements of masks, or counts them, is one."""
    if not _masks.follows(call):
        return
    moved = call.name in _moves.TABLE or call.name in _moves.PLAIN_VIEWS
    masks = call.recorder.masks
    for out, entry in zip(call.outs, made, strict=False):
        if not isinstance(entry, ActivationTensor) or entry.node in masks:
            continue
        if moved or not out.is_floating_point():
            remember_view(call.recorder, entry.node)


def _note_integers(call: Call, entries: list[TensorEntry], made: list[TensorEntry]) -> None:
    """What follows from integers and masks alone scales nothing."""
    nodes = call.recorder.integers
    active = [item for item in entries if isinstance(item, ActivationTensor)]
    if any(isinstance(item, ParameterTensor) for item in entries):
        return
    integral = bool(active) and all(item.node in nodes for item in active)
    for out, entry in zip(call.outs, made, strict=False):
        if (
            isinstance(entry, ActivationTensor)
            and entry.node not in call.recorder.masks
            and (integral or not (out.is_floating_point() or out.is_complex()))
        ):
            nodes.add(entry.node)


def _noise(call: Call) -> Noise | None:
    """Of a random operation, and of arithmetic with scalars on its result."""
    kind = _NOISE.get(call.name)
    if kind == "bernoulli":
        kept = call.number(call.get("p"))
        return Noise(kind, 1 - kept) if kept is not None else None
    if kind is not None:
        return Noise(kind, 0.0)
    known = [source.noise for source in call.entries if isinstance(source, ConstantTensor)]
    noises = [item for item in known if item is not None]
    if len(noises) != 1:
        return None
    return _after(call, noises[0])


def _after(call: Call, noise: Noise) -> Noise | None:
    if call.name in _moves.TABLE:
        return noise
    scalar = call.number(call.get("other"))
    if noise.kind == "bernoulli" and scalar and call.name in ("div", "mul"):
        kept = scalar if call.name == "div" else 1 / scalar
        same = abs(kept - (1 - noise.rate)) < 1e-6
        return Noise(noise.kind, noise.rate, divided=True) if same else None
    if noise.kind == "bernoulli":
        return None
    plain = noise.kind == "uniform" and noise.scale == 1
    if call.name == "floor" and plain:
        return Noise("bernoulli", 1 - noise.rate)
    return None if scalar is None else _with_scalar(call.name, noise, scalar, plain)


def _with_scalar(name: str, noise: Noise, scalar: float, plain: bool) -> Noise | None:
    if name in ("add", "sub"):
        return replace(noise, rate=noise.rate + (scalar if name == "add" else -scalar))
    if name in ("mul", "div") and scalar:
        factor = scalar if name == "mul" else 1 / scalar
        return replace(noise, rate=factor * noise.rate, scale=factor * noise.scale)
    if name in ("lt", "le") and plain:
        return Noise("bernoulli", 1 - scalar)
    if name in ("gt", "ge") and plain:
        return Noise("bernoulli", scalar)
    return None
