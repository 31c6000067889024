"""Lax: which handler translates which primitive of JAX, and what happens to the others."""

from dataclasses import replace

import numpy as np

from fanin.frameworks.jax.operations import (
    _elementwise,
    _masks,
    _matrices,
    _moves,
    _norms,
    _picks,
    _products,
    _reductions,
)
from fanin.frameworks.jax.operations._following import follow
from fanin.frameworks.jax.operations._functions import apply_pointwise
from fanin.frameworks.jax.record import _values
from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.jax.record._pointwise import SAME
from fanin.frameworks.recording._masks import remember_view
from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor, Noise, TensorEntry
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.graph import NoGraphError

_TABLE = {
    **dict.fromkeys((*SAME, "convert_element_type"), _moves.keep),
    **_moves.TABLE,
    **_elementwise.TABLE,
    **_products.TABLE,
    **_reductions.TABLE,
    **_picks.TABLE,
}

# What runs code that no program shows.
_OPAQUE = frozenset(
    (
        *("pallas_call", "ffi_call", "pure_callback", "io_callback", "tpu_custom_call"),
        *("custom_partitioning", "mosaic_gpu", "triton_kernel_call"),
    )
)

_SEVERAL = ("split", "unstack")
_SHOWN = frozenset((*_moves.VIEWS, *_SEVERAL, "slice", "dynamic_slice"))


def translate(call: Call) -> list[TensorEntry]:
    """What every variable that a primitive returned is, in order."""
    if not any(isinstance(entry, (ActivationTensor, ParameterTensor)) for entry in call.entries):
        return _fold(call)
    if call.name in _OPAQUE:
        refuse_weights(call.entries, call.name)
    key = call.key()
    before = call.recorder.made.get(key) if key is not None else None
    if before is not None and call.name in _SHOWN:
        return before
    found = _translate_first(call)
    made = found if isinstance(found, list) else [found]
    made += [_fill_in(call, at, made[0]) for at in range(len(made), len(call.outs))]
    _note_masks(call, made)
    _note_integers(call, made)
    _matrices.follow(call, made)
    made = [follow(call, _evaluate(call, item, at), at) for at, item in enumerate(made)]
    call.recorder.note_twins(key, made)
    return made


def refuse_weights(entries: list[TensorEntry], name: str) -> None:
    """Raises NoGraphError where weights are inside of what cannot be looked into."""
    names = [
        part.name for entry in entries if isinstance(entry, ParameterTensor) for part in entry.parts
    ]
    if names:
        raise NoGraphError(
            f"{names[0]} is used inside a {name}, which shows nothing of what it does with it. "
            "Trace the model with another implementation of that part, or pass inputs=None (in a "
            "shell no --input): then the modules say what the parameters are."
        )


def _fold(call: Call) -> list[TensorEntry]:
    """Constants of constants: their values, where they are known."""
    values = [call.value(at) for at in range(len(call.entries))]
    noise = _follow_noise(call)
    known = None
    if noise is None and all(value is not None for value in values):
        known = _values.compute(call.name, call.params, values, call.shape)
    made = _norms.multiply(call) if call.name == "mul" else None
    made = made or _norms.follow_state(call, None if isinstance(known, list) else known)
    if made is not None:
        return [made]
    several = known if isinstance(known, list) else [known] * len(call.outs)
    names = [entry.name for entry in call.entries if isinstance(entry, ConstantTensor)]
    name = "mask" if "mask" in names else "constant"
    return [ConstantTensor(value, noise=noise, name=name) for value in several]


def _follow_noise(call: Call) -> Noise | None:
    """Of arithmetic with numbers on random values."""
    noises = [
        entry.noise for entry in call.entries if isinstance(entry, ConstantTensor) and entry.noise
    ]
    if len(noises) != 1:
        return None
    noise, numbers = noises[0], [call.number(at) for at in range(len(call.entries))]
    moved = call.name in SAME or call.name in _moves.VIEWS or call.name == "convert_element_type"
    if moved or call.name in ("slice", "dynamic_slice"):
        return noise
    scalar = next((number for number in numbers if number is not None), None)
    if scalar is None:
        return None
    first = numbers[0] is None
    if noise.kind == "bernoulli" and scalar and call.name in ("div", "mul"):
        kept = scalar if call.name == "div" else 1 / scalar
        same = abs(kept - (1 - noise.rate)) < 1e-6
        return replace(noise, divided=True) if same else None
    if noise.kind != "uniform" or call.name not in ("lt", "le", "gt", "ge"):
        return None
    below = (call.name in ("lt", "le")) == first
    return Noise("bernoulli", 1 - scalar if below else scalar)


def _translate_first(call: Call) -> TensorEntry | list[TensorEntry]:
    active = any(isinstance(entry, ActivationTensor) for entry in call.entries)
    counts = _masks.compares(call) or (_masks.follows(call) and _is_known(call.name))
    if not call.outs[0].is_real and not counts and call.name not in _SEVERAL:
        label = "one_hot" if _picks.is_one_hot(call) else "integers"
        return call.view(label) if active else ConstantTensor()
    handler = _TABLE.get(call.name)
    if handler is not None:
        return handler(call)
    if _values.is_pointwise(call.name):
        return apply_pointwise(call)
    weights = [entry for entry in call.entries if isinstance(entry, ParameterTensor)]
    if not active:
        return weights[0].through(call.name, keeps_axes=False)
    for at, entry in enumerate(call.entries):
        if isinstance(entry, ParameterTensor):
            call.activation(at)  # it is used, whatever for
    return call.view(f"unknown: {call.name}")


def _is_known(name: str) -> bool:
    return name in _TABLE or _values.is_pointwise(name)


def _fill_in(call: Call, at: int, first: TensorEntry) -> TensorEntry:
    """Results beside the first: indices, the same values once more."""
    out = call.outs[at]
    if isinstance(first, ActivationTensor) and out.shape == call.shape:
        return first if out.is_real else call.view("integers")
    return ConstantTensor()


def _evaluate(call: Call, entry: TensorEntry, at: int) -> TensorEntry:
    """An activation whose values are known: integers and masks that follow from given ones."""
    if not isinstance(entry, ActivationTensor) or call.recorder.nodes[entry.node].op == "input":
        return entry
    values = [call.value(at) for at in range(len(call.entries))]
    if any(value is None for value in values):
        return entry
    known = _values.compute(call.name, call.params, values, call.outs[at].shape)
    if known is None:
        return entry
    return ActivationTensor(entry.node, known[at] if isinstance(known, list) else np.asarray(known))


def _note_masks(call: Call, made: list[TensorEntry]) -> None:
    """What shows elements of masks, or counts them, is one."""
    if not _masks.follows(call):
        return
    moved = call.name in _moves.TABLE or call.name in SAME
    masks = call.recorder.masks
    for out, entry in zip(call.outs, made, strict=False):
        if not isinstance(entry, ActivationTensor) or entry.node in masks:
            continue
        if moved or not out.is_real:
            remember_view(call.recorder, entry.node)


def _note_integers(call: Call, made: list[TensorEntry]) -> None:
    """What follows from integers and masks alone scales nothing."""
    nodes = call.recorder.integers
    active = [entry for entry in call.entries if isinstance(entry, ActivationTensor)]
    if any(isinstance(entry, ParameterTensor) for entry in call.entries):
        return
    integral = bool(active) and all(item.node in nodes for item in active)
    for out, entry in zip(call.outs, made, strict=False):
        if (
            isinstance(entry, ActivationTensor)
            and entry.node not in call.recorder.masks
            and (integral or not out.is_real)
        ):
            nodes.add(entry.node)
