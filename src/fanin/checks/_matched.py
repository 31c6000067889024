"""Matched: the initializer that a weight's values look like they were drawn by."""

import math
from dataclasses import replace

from fanin._fans import fans
from fanin.frameworks import ParameterStats
from fanin.graph import Use
from fanin.initializers import get

_MARGIN = 0.01  # of a std, beside four standard errors of it


def recognize(values: ParameterStats, fan_in: float | None, fan_out: float | None) -> str:
    """A spelling that `fanin.initializers.get` knows, where there is one; else what is known."""
    if not values.finite:
        return "not finite"
    # Their deviation is what the rounding of two large numbers leaves of it.
    if values.low == values.high and abs(values.rms - abs(values.mean)) <= 1e-5 * values.rms:
        number = f"{values.low:.4g}"
        return {"0": "zeros", "1": "ones"}.get(number, f"constant({number})")
    if values.orthogonal:
        return "orthogonal"
    kind = _kind(values)
    if kind is None:
        return f"values of std {values.std:.2g}"
    count = math.prod(values.shape)
    margin = _MARGIN + 4 / math.sqrt(2 * max(count, 1))
    if fan_in and fan_out and abs(values.mean) < 0.1 * values.std + 4 * values.std / count**0.5:
        stds = _stds(fan_in, fan_out, kind)
        name = min(stds, key=lambda name: abs(values.std / stds[name] - 1))
        if abs(values.std / stds[name] - 1) < margin:
            return name
    return _plain(values, kind)


def _stds(fan_in: float, fan_out: float, kind: str) -> dict[str, float]:
    """The rules for values of this kind; of equal ones the first is named."""
    default = {"torch_default": math.sqrt(1 / (3 * fan_in))} if kind == "uniform" else {}
    return {
        f"glorot_{kind}": math.sqrt(2 / (fan_in + fan_out)),
        f"he_{kind}": math.sqrt(2 / fan_in),
        f"lecun_{kind}": math.sqrt(1 / fan_in),
        **default,
    }


def _kind(values: ParameterStats) -> str | None:
    """The shape of the distribution; None for too few values, or another one."""
    if math.prod(values.shape) < 30 or values.std == 0:
        return None
    reach = max(values.high - values.mean, values.mean - values.low) / values.std
    loose = 6 * math.sqrt(24 / min(math.prod(values.shape), 1 << 16))  # six standard errors
    if abs(values.kurtosis - 1.8) < min(0.2, loose) and reach < 1.85:
        return "uniform"
    if abs(values.kurtosis - 2.37) < min(0.25, loose) and reach < 2.4:
        return "truncated_normal"
    return "normal" if abs(values.kurtosis - 3) < max(0.15, min(loose, 1.5)) else None


def _plain(values: ParameterStats, kind: str) -> str:
    middle = values.mean if abs(values.mean) > 0.1 * values.std else 0.0
    if kind == "uniform":
        half = values.std * math.sqrt(3)
        return f"uniform({middle - half:.2g}, {middle + half:.2g})"
    mean = f"{middle:.2g}, " if middle else ""
    name = f"{kind}({mean}std={values.std:.2g})"
    get(name)  # what is printed can be written
    return name


def fans_of(use: Use, shape: tuple[int, ...]) -> tuple[float, float]:
    """How many products an output sums, and how many outputs an input reaches."""
    if use.fans is not None:
        return use.fans
    return use.fan_in(shape), float(fans(shape, replace(use.axes, blocks=())).fan_out)
