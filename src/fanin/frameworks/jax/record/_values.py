"""Values: what primitives of lax give for known arrays, in NumPy."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fanin.frameworks.jax.record._pointwise import FUNCTIONS

OperationParams = Mapping[str, Any]

LARGEST = 1 << 20  # elements of a constant whose values are computed


class UnknownValue(Exception):  # noqa: N818 - ends a computation, and never leaves the tracer
    """A primitive that is not carried out here."""


def broadcast(params: OperationParams, x: Any) -> Any:
    shape, places = params["shape"], params["broadcast_dimensions"]
    inner = [1] * len(shape)
    for size, place in zip(np.shape(x), places, strict=True):
        inner[place] = size
    return np.broadcast_to(np.reshape(x, inner), shape)


def _slice(params: OperationParams, x: Any) -> Any:
    steps = params["strides"] or (1,) * np.ndim(x)
    spans = zip(params["start_indices"], params["limit_indices"], steps, strict=True)
    return np.asarray(x)[tuple(slice(*span) for span in spans)]


def _iota(params: OperationParams) -> Any:
    shape, dim = params["shape"], params["dimension"]
    line = np.arange(shape[dim], dtype=np.dtype(params["dtype"]))
    inner = [1] * len(shape)
    inner[dim] = shape[dim]
    return np.broadcast_to(line.reshape(inner), shape)


def _reverse(params: OperationParams, x: Any) -> Any:
    return np.flip(x, params["dimensions"])


def _pad(params: OperationParams, x: Any, filled: Any) -> Any:
    config = params["padding_config"]
    if any(low < 0 or high < 0 for low, high, _ in config):
        raise UnknownValue
    inside = [
        size + max(size - 1, 0) * apart
        for size, (_, _, apart) in zip(np.shape(x), config, strict=True)
    ]
    made = np.full(
        [low + size + high for size, (low, high, _) in zip(inside, config, strict=True)],
        filled,
        np.asarray(x).dtype,
    )
    spans = zip(inside, config, strict=True)
    made[tuple(slice(low, low + size, apart + 1) for size, (low, _, apart) in spans)] = x
    return made


def _contract(params: OperationParams, a: Any, b: Any) -> Any:
    (summed_a, summed_b), (batch_a, batch_b) = params["dimension_numbers"]
    names_a, names_b = [*range(np.ndim(a))], [*range(100, 100 + np.ndim(b))]
    for mine, other in (*zip(summed_a, summed_b, strict=True), *zip(batch_a, batch_b, strict=True)):
        names_b[other] = names_a[mine]
    rest_a = [name for dim, name in enumerate(names_a) if dim not in (*summed_a, *batch_a)]
    rest_b = [name for dim, name in enumerate(names_b) if dim not in (*summed_b, *batch_b)]
    every = {name: at for at, name in enumerate(dict.fromkeys((*names_a, *names_b)))}
    out = [every[name] for name in (*(names_a[dim] for dim in batch_a), *rest_a, *rest_b)]
    return np.einsum(a, [every[n] for n in names_a], b, [every[n] for n in names_b], out)


def _reduce(run: Callable[..., Any]) -> Callable[..., Any]:
    return lambda params, x: run(np.asarray(x), axis=tuple(params["axes"]))


def _accumulate(run: Callable[..., Any]) -> Callable[..., Any]:
    def running(params: OperationParams, x: Any) -> Any:
        axis = params["axis"]
        if params.get("reverse"):
            return np.flip(run(np.flip(x, axis), axis=axis), axis)
        return run(np.asarray(x), axis=axis)

    return running


def _sum_windows(params: OperationParams, x: Any) -> Any:
    sizes, strides = params["window_dimensions"], params["window_strides"]
    if any(item != 1 for item in params["base_dilation"]):
        raise UnknownValue
    apart = params["window_dilation"]
    padded = np.pad(np.asarray(x, np.float64), params["padding"])
    for axis, (size, stride, step) in enumerate(zip(sizes, strides, apart, strict=True)):
        line = np.moveaxis(padded, axis, -1)
        count = (line.shape[-1] - step * (size - 1) - 1) // stride + 1
        reach = stride * (count - 1) + 1
        terms = (line[..., at * step : at * step + reach : stride] for at in range(size))
        padded = np.moveaxis(np.asarray(sum(terms)), -1, axis)
    return padded


def _cut(params: OperationParams, x: Any, *starts: Any) -> Any:
    sizes = params["slice_sizes"]
    places = [
        min(max(int(start), 0), whole - size)
        for start, whole, size in zip(starts, np.shape(x), sizes, strict=True)
    ]
    spans = zip(places, sizes, strict=True)
    return np.asarray(x)[tuple(slice(place, place + size) for place, size in spans)]


def _split(params: OperationParams, x: Any) -> list[Any]:
    ends = np.cumsum(params["sizes"])[:-1]
    return np.split(np.asarray(x), ends, axis=params["axis"])


# Of primitives that move elements, or join several of them.
_OTHERS: dict[str, Callable[..., Any]] = {
    "broadcast_in_dim": broadcast,
    "reshape": lambda params, x: np.reshape(x, params["new_sizes"]),
    "transpose": lambda params, x: np.transpose(x, params["permutation"]),
    "squeeze": lambda params, x: np.squeeze(x, tuple(params["dimensions"])),
    "expand_dims": lambda params, x: np.expand_dims(x, tuple(params["dimensions"])),
    "slice": _slice,
    "dynamic_slice": _cut,
    "split": _split,
    "unstack": lambda params, x: list(np.moveaxis(np.asarray(x), params["axis"], 0)),
    "iota": _iota,
    "rev": _reverse,
    "pad": _pad,
    "concatenate": lambda params, *xs: np.concatenate(xs, params["dimension"]),
    "dot_general": _contract,
    "reduce_sum": _reduce(np.sum),
    "reduce_prod": _reduce(np.prod),
    "reduce_max": _reduce(np.max),
    "reduce_min": _reduce(np.min),
    "reduce_and": _reduce(np.all),
    "reduce_or": _reduce(np.any),
    "argmax": lambda params, x: np.argmax(x, params["axes"][0]),
    "argmin": lambda params, x: np.argmin(x, params["axes"][0]),
    "cumsum": _accumulate(np.cumsum),
    "cumprod": _accumulate(np.cumprod),
    "cummax": _accumulate(np.maximum.accumulate),
    "cummin": _accumulate(np.minimum.accumulate),
    "reduce_window_sum": _sum_windows,
}

VIEWS = frozenset(
    (
        *("broadcast_in_dim", "reshape", "transpose", "squeeze", "expand_dims", "slice"),
        *("dynamic_slice", "split", "unstack", "rev"),
    )
)


def is_pointwise(name: str) -> bool:
    """Whether a primitive is a function element by element."""
    return name in FUNCTIONS


def runs(name: str) -> bool:
    """Whether a primitive can be carried out here."""
    return name in FUNCTIONS or name in _OTHERS


def run(name: str, params: OperationParams, *arrays: Any) -> Any:
    """The result of a primitive, a list where it has several; raises Unknown for what is none.

    Numbers may be wider than the program's: float64 in place of float32.
    """
    with np.errstate(all="ignore"):
        if name in FUNCTIONS:
            return FUNCTIONS[name](params)(*arrays)
        if name in _OTHERS:
            return _OTHERS[name](params, *arrays)
    raise UnknownValue(name)


def compute(name: str, params: OperationParams, arrays: Sequence[Any], shape: Sequence[int]) -> Any:
    """The same; None where it is not known, or of more elements than are kept."""
    if math.prod(shape) > LARGEST or not runs(name):
        return None
    try:
        return run(name, params, *arrays)
    except (UnknownValue, ValueError, TypeError, IndexError, OverflowError):
        return None
