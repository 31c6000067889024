"""Report: a checkup as text, in 100 columns."""

import math
import textwrap
from collections.abc import Iterator, Sequence

from fanin._columns import aligned
from fanin.checks._conditions import Conditions
from fanin.checks._finding import Finding
from fanin.checks._layer import Layer
from fanin.checks._rules import RULES

_WIDTH = 100
_BARS = "▁▂▃▄▅▆▇█"
_LONGEST = 60  # bars of a line
_SHOWN = 40  # layers of a table that is not shortened
_EDGE = 10  # layers at each end of one that is
_HEADS = (
    "layer",
    "shape",
    "initializer",
    "activation",
    "RMS",
    "theory",
    "gradient",
    "flat",
    "dead",
)
_NAMES = 26  # columns of a layer's name
_RIGHT = range(4, len(_HEADS))  # columns of numbers


def table(layers: Sequence[Layer]) -> str:
    """One line per layer."""
    return "\n".join(aligned([_HEADS, *map(_row, layers)], _RIGHT)) + "\n" if layers else ""


def report(
    verdict: str,
    findings: Sequence[Finding],
    layers: Sequence[Layer],
    notes: Sequence[str],
    conditions: Conditions,
) -> str:
    """Verdict, scale over depth, layers, findings with their fixes, notes."""
    named = {one.layer for one in findings}
    parts = [
        _wrapped(_conditions(conditions)),
        _wrapped(verdict),
        "\n".join(_scales(layers)),
        "\n".join(_shortened(layers, named)),
        "\n".join(line for one in findings for line in _lines(one)),
        "\n".join(_wrapped(f"note: {one}", "  ") for one in notes),
    ]
    return "\n\n".join(part for part in parts if part)


def _conditions(one: Conditions) -> str:
    draws = f", {one.draws} draws" if one.draws > 1 else ""
    return (
        f"fanin check: {one.model}, {one.parameters:,} parameters, {one.dtype} on {one.device}, "
        f"{one.mode} mode, {one.batch} inputs ({one.inputs}), loss: {one.loss}, seed {one.seed}"
        f"{draws}, torch {one.torch}"
    )


def _scales(layers: Sequence[Layer]) -> Iterator[str]:
    for what, numbers in (
        ("forward  RMS", [one.rms for one in layers]),
        ("backward gradient", [one.gradient for one in layers]),
    ):
        known = [one for one in numbers if one is not None]
        if len(known) > 1:
            yield f"{what:<18} {sparkline(known)}  {_number(known[0])} to {_number(known[-1])}"


def sparkline(numbers: Sequence[float]) -> str:
    """Bars on a logarithmic scale, at least a factor of 10 high; x is not finite, _ is zero."""
    count = min(len(numbers), _LONGEST)
    picked = [numbers[at * len(numbers) // count] for at in range(count)]
    logs = [math.log10(one) for one in picked if 0 < one < math.inf]
    low, high = (min(logs), max(logs)) if logs else (0.0, 1.0)
    middle, reach = (low + high) / 2, max(high - low, 1.0)

    def bar(value: float) -> str:
        if not math.isfinite(value):
            return "x"
        if value <= 0:
            return "_"
        place = (math.log10(value) - middle) / reach + 0.5
        return _BARS[min(int(place * len(_BARS)), len(_BARS) - 1)]

    return "".join(map(bar, picked))


def _shortened(layers: Sequence[Layer], named: set[str]) -> Iterator[str]:
    """The table; of many layers the ends, and those that a finding names."""
    if not layers:
        return
    count = len(layers)
    shown = [
        at
        for at, one in enumerate(layers)
        if count <= _SHOWN
        or at < _EDGE
        or at >= count - _EDGE
        or one.module in named
        or one.name in named
    ][: 2 * _SHOWN]
    lines = aligned([_HEADS, *(_row(layers[at]) for at in shown)], _RIGHT)
    yield lines[0]
    before = -1
    for at, line in zip(shown, lines[1:], strict=True):
        if at > before + 1:
            yield f"... {at - before - 1} layers without a finding of their own ..."
        yield line
        before = at
    if before + 1 < count:
        yield f"... {count - before - 1} more layers ..."


def _row(one: Layer) -> tuple[str, ...]:
    name = one.name.removesuffix(".weight")
    return (
        name if len(name) <= _NAMES else "..." + name[3 - _NAMES :],
        "x".join(map(str, one.shape)),
        one.initializer,
        one.activation,
        _number(one.rms),
        _number(one.expected_rms),
        _number(one.gradient),
        _share(one.saturated),
        _share(one.dead),
    )


def _lines(one: Finding) -> Iterator[str]:
    yield f"{one.id} {one.severity}: {one.place} ({RULES[one.id].name})"
    yield _wrapped(f"{one.measured}; expected {one.expected}; limit {one.limit}", "    ")
    yield _wrapped(one.why, "    ")
    yield _wrapped(f"fix: {one.fix}", "    ")


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(
        text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"
