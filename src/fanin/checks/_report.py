"""Report: a checkup as text, in 100 columns."""

import math
import textwrap
from collections.abc import Collection, Iterator, Sequence

from fanin._columns import align, format_number, format_share
from fanin.checks._causes import Cause, find_causes, list_places
from fanin.checks._conditions import Conditions
from fanin.checks._finding import Finding
from fanin.checks._layer import Layer
from fanin.checks._rules import RULES

_WIDTH = 100
_BARS = "▁▂▃▄▅▆▇█"
_LONGEST = 60  # bars of a line
_SHOWN = 30  # layers of a table at most
_EDGE = 8  # layers at each end of one that is shortened
HEADS = (
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
NUMBERS = range(4, len(HEADS))  # columns of numbers


def table(layers: Sequence[Layer]) -> str:
    """One line per layer."""
    return "\n".join(align([HEADS, *map(row_cells, layers)], NUMBERS)) + "\n" if layers else ""


def report(
    verdict: str,
    findings: Sequence[Finding],
    layers: Sequence[Layer],
    notes: Sequence[str],
    conditions: Conditions,
) -> str:
    """Verdict, scale over depth, layers, findings with their fixes, notes."""
    named = {finding.layer for finding in findings}
    parts = [
        _wrap(tell_conditions(conditions)),
        _wrap(verdict),
        "\n".join(list_scales(layers)),
        "\n".join(_shorten(layers, named)),
        "\n".join(line for cause in find_causes(findings) for line in _lines(cause)),
        "\n".join(_wrap(f"note: {note}", "  ") for note in notes),
    ]
    return "\n\n".join(part for part in parts if part)


def tell_conditions(ran: Conditions) -> str:
    """What was run, on what, how."""
    draws = f", {ran.draws} draws" if ran.draws > 1 else ""
    steps = f", {ran.steps} steps of {ran.optimizer}" if ran.steps else ""
    return (
        f"fanin check: {ran.model}, {ran.parameters:,} parameters, {ran.dtype} on {ran.device}, "
        f"{ran.mode} mode, {ran.batch} inputs ({ran.inputs}), loss: {ran.loss}, seed {ran.seed}"
        f"{draws}{steps}, {ran.framework}"
    )


def list_scales(layers: Sequence[Layer]) -> Iterator[str]:
    """Forward and backward scale over depth, a line of bars each."""
    for what, numbers in (
        ("forward  RMS", [layer.rms for layer in layers]),
        ("backward gradient", [layer.gradient for layer in layers]),
    ):
        known = [number for number in numbers if number is not None]
        if len(known) > 1:
            ends = " to ".join(map(format_number, (known[0], known[-1])))
            yield f"{what:<18} {sparkline(known)}  {ends}"


def sparkline(numbers: Sequence[float]) -> str:
    """Bars on a logarithmic scale, at least a factor of 10 high; x is not finite, _ is zero."""
    count = min(len(numbers), _LONGEST)
    picked = [numbers[at * len(numbers) // count] for at in range(count)]
    logs = [math.log10(number) for number in picked if 0 < number < math.inf]
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


def _shorten(layers: Sequence[Layer], named: Collection[str]) -> Iterator[str]:
    """The table of the layers that are picked, and how many are left out where."""
    if not layers:
        return
    count, shown = len(layers), pick_layers(layers, named)
    lines = align([HEADS, *(row_cells(layers[at]) for at in shown)], NUMBERS)
    yield lines[0]
    before = -1
    for at, line in zip(shown, lines[1:], strict=True):
        if at > before + 1:
            yield f"... {at - before - 1} more layers ..."
        yield line
        before = at
    if before + 1 < count:
        yield f"... {count - before - 1} more layers ..."


def pick_layers(layers: Sequence[Layer], named: Collection[str]) -> list[int]:
    """Which layers a table shows: of many the ends, and the first ones that a finding names."""
    count = len(layers)
    if count <= _SHOWN:
        return [*range(count)]
    inside = [
        at
        for at in range(_EDGE, count - _EDGE)
        if layers[at].module in named or layers[at].name in named
    ]
    return [*range(_EDGE), *inside[: _SHOWN - 2 * _EDGE], *range(count - _EDGE, count)]


def row_cells(layer: Layer) -> tuple[str, ...]:
    """A layer's row of the table."""
    name = layer.name.removesuffix(".weight")
    return (
        name if len(name) <= _NAMES else "..." + name[3 - _NAMES :],
        "x".join(map(str, layer.shape)),
        layer.initializer,
        layer.activation,
        format_number(layer.rms),
        format_number(layer.expected_rms),
        format_number(layer.gradient),
        format_share(layer.saturated),
        format_share(layer.dead),
    )


def _lines(cause: Cause) -> Iterator[str]:
    first = cause.first
    more = f", and {list_places(cause.same[1:])}" if cause.same[1:] else ""
    yield _wrap(f"{first.id} {first.severity}: {first.place}{more} ({RULES[first.id].name})")
    yield _wrap(f"{first.measured}; expected {first.expected}; limit {first.limit}", "    ")
    yield _wrap(first.why, "    ")
    for consequence in cause.consequences:
        yield _wrap(f"so also: {consequence}", "    ")
    yield _wrap(f"fix: {cause.fix}", "    ")


def _wrap(text: str, indent: str = "") -> str:
    return textwrap.fill(
        text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
