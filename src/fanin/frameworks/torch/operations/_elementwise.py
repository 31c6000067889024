"""Elementwise: sums, products and functions of one or more tensors, element by element."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from fanin.frameworks.recording._masks import REMOVES, inline
from fanin.frameworks.recording._masks import remember as remember_mask
from fanin.frameworks.recording._record import (
    ActivationFormula,
    ActivationTensor,
    ConstantTensor,
    Noise,
    TensorEntry,
)
from fanin.frameworks.recording._statistics import note_power
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.frameworks.torch.operations._following import reciprocal
from fanin.frameworks.torch.operations._masks import compares, follows, is_mask, removes
from fanin.frameworks.torch.operations._statistics import find_deviation, find_norm, remember
from fanin.frameworks.torch.record._call import Call


def _as_constant(call: Call, entry: TensorEntry) -> ConstantTensor | None:
    """A constant, what follows from known inputs, or integers and masks, which scale nothing."""
    if isinstance(entry, ConstantTensor):
        return entry
    if isinstance(entry, ActivationTensor):
        if entry.node in call.recorder.integers:
            return ConstantTensor(entry.value, name="mask")
        if entry.value is not None:
            return ConstantTensor(entry.value, name="known")
    return None


def _swap_if_constant(call: Call, a: Any, b: Any) -> tuple[Any, Any]:
    """The two with a real activation first, else a weight."""

    def rank(value: Any) -> int:
        if not isinstance(value, Tensor):
            return 3
        entry = call.entry(value)
        if _as_constant(call, entry) is not None:
            return 2
        return int(isinstance(entry, ParameterTensor))

    for weight, factor in ((a, b), (b, a)):
        if _is_own_factor(call, weight, factor):
            return weight, factor
    return (b, a) if rank(b) < rank(a) else (a, b)


def _is_own_factor(call: Call, weight: Any, factor: Any) -> bool:
    """Whether a small tensor made of parameters changes a weight, as a spectral norm does."""
    if not isinstance(weight, Tensor) or not isinstance(factor, Tensor):
        return False
    entry = call.entry(factor)
    return (
        isinstance(call.entry(weight), ParameterTensor)
        and isinstance(entry, ActivationTensor)
        and entry.node in call.recorder.parametric
        and factor.numel() < weight.numel()
    )


def add(call: Call) -> TensorEntry:
    """Sums and differences."""
    a, b = call["self"], call["other"]
    negative = call.name in ("sub", "subtract")
    if call.name == "rsub":
        a, b, negative = b, a, True
    alpha = call.number(call.get("alpha"))
    centre = find_deviation(call, a, b) if negative else None
    if centre is not None:
        return centre
    first, second = _swap_if_constant(call, a, b)
    value, label = call.entry(first), "sub" if negative else ""
    if isinstance(value, ParameterTensor):
        return _of_weights(call, first, second)
    if not isinstance(value, ActivationTensor):
        return apply_pointwise(call)
    if alpha is not None and alpha != 1.0 and isinstance(second, Tensor):
        return _add_scaled(call, first, second, alpha)
    number = call.number(second)
    if number == 0 and first is a and tuple(a.shape) == call.shape:
        return value
    if number is not None or (negative and first is not a):
        return apply_pointwise(call)
    return plus(call, value, second, call.shape, label)


def _add_scaled(call: Call, first: Tensor, second: Tensor, alpha: float) -> TensorEntry:
    if isinstance(call.entry(second), ParameterTensor):
        return plus(call, call.activation(first), second, call.shape)
    scaled = call.recorder.times(call.activation(second), alpha, second.shape)
    return call.recorder.emit("add", [call.activation(first), scaled], call.shape)


def plus(
    call: Call, value: ActivationTensor, other: Any, shape: tuple[int, ...], label: str = ""
) -> ActivationTensor:
    """An activation plus a parameter, a constant or another activation."""
    entry = call.entry(other)
    recorder = call.recorder
    if removes(call, other):
        return recorder.follow(value, recorder.emit("view", [value], shape, label="mask"))
    if isinstance(entry, ParameterTensor):
        return recorder.add_elementwise("shift", value, entry, shape, label)
    constant = _as_constant(call, entry)
    if constant is None or value.node in recorder.integers:
        return recorder.emit("add", [value, call.activation(other)], shape, label=label)
    known = constant.value
    if known is not None and known.numel() and not known.is_complex():
        if float(known.min()) <= REMOVES or constant.name == "mask":
            return recorder.follow(value, recorder.emit("view", [value], shape, label="mask"))
        if not known.any():
            return value if recorder.nodes[value.node].shape == tuple(shape) else call.view()
    elif constant.name == "mask":
        return recorder.emit("view", [value], shape, label="mask")
    made = recorder.emit("add", [value, call.activation(other)], shape, label=label)
    return recorder.follow(value, made)


def multiply(call: Call) -> TensorEntry:
    """Products and quotients."""
    a, b = call["self"], call["other"]
    divides = call.name in ("div", "divide", "true_divide")
    first, second = _swap_if_constant(call, a, b)
    value = call.entry(first)
    if isinstance(value, ParameterTensor):
        return _of_weights(call, first, second)
    if call.get("rounding_mode") is not None or not isinstance(value, ActivationTensor):
        return apply_pointwise(call)
    if divides and first is not a:  # a constant or a parameter over an activation
        return apply_pointwise(call)
    norm = find_norm(call, a, b, divides)
    if norm is not None:
        return norm
    if isinstance(second, complex):
        return call.recorder.times(value, abs(second) ** (-1 if divides else 1), call.shape)
    number = call.number(second)
    if number == 1 and tuple(first.shape) == call.shape:
        return value
    if number is not None:
        return apply_pointwise(call)
    if is_mask(call, first) or is_mask(call, second):
        return apply_pointwise(call)
    if not divides:
        return _times(call, value, second)
    return _over(call, value, second)


def _times(call: Call, value: ActivationTensor, other: Tensor) -> ActivationTensor:
    recorder, entry = call.recorder, call.entry(other)
    if isinstance(entry, ParameterTensor):
        made = recorder.add_elementwise("scale", value, entry, call.shape)
        if recorder.nodes[value.node].op != "normalize":  # whose scale it were
            recorder.factors[made.node] = (value, entry)
        return made
    constant = _as_constant(call, entry)
    if constant is None or value.node in recorder.integers:
        factor = call.activation(other)
        if recorder.twin(value.node) == recorder.twin(factor.node):
            factor = value
        made = recorder.emit("mul", [value, factor], call.shape)
        if value == factor:
            note_power(recorder, value, made, 2.0)
        return made
    if constant.noise is not None and constant.noise.kind == "bernoulli":
        return _drop(call, value, constant.noise)
    if _is_mask(constant):
        return recorder.follow(value, recorder.emit("view", [value], call.shape, label="mask"))
    factor = recorder.buffer(constant, other.shape)
    return recorder.follow(value, recorder.emit("mul", [value, factor], call.shape))


def _over(call: Call, value: ActivationTensor, other: Tensor) -> TensorEntry:
    recorder, entry = call.recorder, call.entry(other)
    if isinstance(entry, ParameterTensor):
        divisor = reciprocal(entry)
        return recorder.add_elementwise("scale", value, divisor, call.shape)
    constant = _as_constant(call, entry)
    if constant is None or value.node in recorder.integers:
        return apply_pointwise(call)
    known = constant.value
    inverse = ConstantTensor(
        None if known is None else known.double().reciprocal(), name=constant.name
    )
    factor = recorder.buffer(inverse, other.shape)
    return recorder.follow(value, recorder.emit("mul", [value, factor], call.shape))


def _is_mask(constant: ConstantTensor) -> bool:
    known = constant.value
    if known is None:
        return constant.name == "mask"
    if known.is_complex() or not known.numel():
        return False
    return bool(((known == 0) | (known == 1)).all()) and not bool((known == 0).all())


def _drop(call: Call, value: ActivationTensor, noise: Noise) -> ActivationTensor:
    made = call.recorder.emit("dropout", [value], call.shape, rate=noise.rate, label="dropout")
    call.recorder.follow(value, made)
    if noise.divided or not noise.rate:
        return made
    kept = 1 - noise.rate  # a mask alone; the dropout of the record divides by what it keeps
    return call.recorder.follow(made, call.recorder.times(made, kept))


def native_dropout(call: Call) -> TensorEntry:
    """Dropout that torch leaves whole."""
    value = call.activation(call["input"])
    if call.get("train") is False:
        return value
    return _drop(call, value, Noise("bernoulli", float(call["p"]), divided=True))


def _of_weights(call: Call, first: Tensor, second: Any) -> TensorEntry:
    """A parameter with a scalar, a constant or another parameter: still a weight."""
    entry = call.entry(first)
    assert isinstance(entry, ParameterTensor)
    other = call.entry(second) if isinstance(second, Tensor) else None
    if isinstance(other, ParameterTensor) and isinstance(second, Tensor):
        if second.numel() > first.numel():
            entry, other = other, entry
        names = {part.name for part in entry.parts}
        strangers = ParameterTensor(tuple(part for part in other.parts if part.name not in names))
        if strangers.parts and call.name in ("mul", "multiply"):
            return entry.scale_by([strangers])
        if strangers.parts:
            call.activation(second)  # a node that says that it was used
    return entry.through(_label(call))


def random_leaky(call: Call) -> TensorEntry:
    """rrelu: slopes below zero are drawn in training, and their mean else."""
    low, high = (float(call[name]) for name in ("lower", "upper"))
    mean_square = (low * low + low * high + high * high) / 3
    slope = math.sqrt(mean_square) if call["training"] else (low + high) / 2
    source = call.activation(call["self"])
    made = call.recorder.emit(
        "pointwise",
        [source],
        call.shape,
        fn=lambda x: np.where(x < 0, slope * x, x),
        label="rrelu",
    )
    return call.recorder.follow(source, made)


def unfuse(call: Call) -> TensorEntry:
    """addcmul and lerp, which are a product and a sum in one."""
    recorder, shape = call.recorder, call.shape
    if call.name == "lerp":
        start, left, right = call["self"], call["end"], call["weight"]
        share = call.number(right)
        if not all(isinstance(call.entry(item), ActivationTensor) for item in (start, left)):
            return apply_pointwise(call)
        if share is not None:
            parts = ((start, 1 - share), (left, share))
            terms = [recorder.times(call.activation(item), part, shape) for item, part in parts]
            return recorder.emit("add", terms, shape)
        difference = [call.activation(left), call.activation(start)]
        value = recorder.emit("add", difference, shape, label="sub")
    else:
        start, left, right = call["self"], call["tensor1"], call["tensor2"]
        left, right = _swap_if_constant(call, left, right)
        entry = call.entry(left)
        if not isinstance(entry, ActivationTensor) or call.number(call.get("value")) != 1.0:
            return apply_pointwise(call)
        value = entry
    return plus(call, _times(call, value, right), start, shape)


def apply_pointwise(call: Call) -> TensorEntry:
    """A function of its activations; of parameters alone, a function that they go through."""
    recorder = call.recorder
    real = [
        source for source in call.inputs() if not isinstance(call.entry(source), ConstantTensor)
    ]
    active = [item for item in real if isinstance(call.entry(item), ActivationTensor)]
    if not active:
        weight = call.entry(max(real, key=lambda tensor: tensor.numel()))
        assert isinstance(weight, ParameterTensor)
        names = {part.name for part in weight.parts}
        for item in real:
            entry = call.entry(item)
            if isinstance(entry, ParameterTensor) and names.isdisjoint(
                part.name for part in entry.parts
            ):
                call.activation(item)  # a node that says that it was used
        return weight.through(_label(call))
    active = [
        source
        for source in call.inputs()
        if source in _Unchanged(real) or call.number(source) is None
    ]
    given = [call.activation(item) for item in active]
    sources, fn = inline(recorder, given, call.function(active))
    made = recorder.emit("pointwise", sources, call.shape, fn=fn, label=_label(call))
    if compares(call) or follows(call):
        remember_mask(
            recorder, made.node, ActivationFormula(tuple(source.node for source in sources), fn)
        )
    if len(sources) == 1:
        recorder.follow(sources[0], made)
        remember(call, sources[0], made)
        if sources[0].node in recorder.integers:
            recorder.integers.add(made.node)
    return made


def exponential(call: Call) -> TensorEntry:
    """exp, which is of size one for the imaginary numbers that angles become."""
    if not call.first.is_complex() or not isinstance(call.entry(call.first), ActivationTensor):
        return apply_pointwise(call)
    source = call.activation(call.first)
    return call.recorder.emit("pointwise", [source], call.shape, fn=np.ones_like, label="exp")


def pair(call: Call) -> TensorEntry:
    """Two real tensors as one of complex numbers, each part as large as it was."""
    parts = [call["real"], call["imag"]]
    real = [entry for entry in map(call.entry, parts) if not isinstance(entry, ConstantTensor)]
    if len(real) < 2:
        return real[0] if real else call.view()
    weights = [entry for entry in real if isinstance(entry, ParameterTensor)]
    if len(weights) == 2:
        return ParameterTensor(tuple(part for weight in weights for part in weight.parts))
    return call.recorder.emit("concat", [call.activation(part) for part in parts], call.shape)


class _Unchanged:
    """Membership by identity: tensors compare element by element."""

    def __init__(self, tensors: list[Tensor]) -> None:
        self._ids = {id(tensor) for tensor in tensors}

    def __contains__(self, tensor: Tensor) -> bool:
        return id(tensor) in self._ids


def _label(call: Call) -> str:
    numbers = [
        f"{value:.6g}" if isinstance(value, (int, float)) else str(value)
        for name, value in call.arguments.items()
        if isinstance(value, (int, float, str))
        and not isinstance(value, bool)
        and not (name == "alpha" and value == 1)
    ]
    return " ".join([call.name.removeprefix("_"), *numbers])


TABLE: dict[str, Callable[[Call], TensorEntry | list[TensorEntry]]] = {
    **dict.fromkeys(("add", "sub", "rsub", "subtract"), add),
    **dict.fromkeys(("mul", "div", "multiply", "divide", "true_divide"), multiply),
    **dict.fromkeys(("rrelu_with_noise", "rrelu_with_noise_functional", "rrelu"), random_leaky),
    **dict.fromkeys(("addcmul", "lerp"), unfuse),
    **dict.fromkeys(("native_dropout", "_fused_dropout"), native_dropout),
    "complex": pair,
    "exp": exponential,
}
