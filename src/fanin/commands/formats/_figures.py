"""The page's plots: the scale of signal and gradient over depth, with what was found."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from fanin.checks import SEVERITIES, Checkup, Layer, Severity
from fanin.lab.report.drawing import ACCENT, FAILED, FAINT, INK, drawing

SIZE = (4.6, 2.9)  # inches
_EDGES = {"": ("o", math.nan), "zero": ("v", 0.03), "not finite": ("x", 0.97)}
_MARKERS: dict[Severity | None, dict[str, Any]] = {
    None: {"mfc": ACCENT, "mec": ACCENT},
    "note": {"mfc": "none", "mec": INK},
    "warning": {"mfc": "none", "mec": FAILED},
    "error": {"mfc": FAILED, "mec": FAILED},
}


def forward(checkup: Checkup) -> str:
    """RMS of the layers' outputs, and what theory expects, as an <svg>."""
    return _plot(checkup, "Forward: RMS of outputs", "rms", "expected_rms")


def backward(checkup: Checkup) -> str:
    """Norm per sample of the loss's gradient with respect to the layers' outputs, as an <svg>."""
    return _plot(checkup, "Backward: norm of gradients", "gradient", None)


def worst(checkup: Checkup) -> dict[str, Severity]:
    """The severest finding at each layer, by the name of its weight."""
    found: dict[str, Severity] = {}
    for layer in checkup.layers:
        here = [
            finding.severity
            for finding in checkup.findings
            if finding.layer in (layer.name, layer.module)
        ]
        if here and (layer.module or layer.name):
            found[layer.name] = max(here, key=SEVERITIES.index)
    return found


def _plot(checkup: Checkup, title: str, measured: str, expected: str | None) -> str:
    layers = checkup.layers
    values = [getattr(layer, measured) for layer in layers]
    theory = [getattr(layer, expected) for layer in layers] if expected else []
    with drawing(title, SIZE) as made:
        axes = made.axes
        axes.set_yscale("log")
        _limit(axes, [value for value in map(_on_axis, (*values, *theory)) if value == value])
        for run in _chains(layers):
            axes.plot(
                [i + 1 for i in run], [_on_axis(values[i]) for i in run], color=ACCENT, lw=1.4
            )
            if theory:
                expectation = [_on_axis(theory[i]) for i in run]
                axes.plot([i + 1 for i in run], expectation, color=INK, lw=0.9, ls=":")
        _dots(axes, layers, values, worst(checkup))
        axes.set_xlim(0.5, max(len(layers), 2) + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
        axes.set(xlabel="layer", title=title)
        axes.title.set_fontsize(10)
    return made.svg


def _chains(layers: Sequence[Layer]) -> list[list[int]]:
    """Indexes of layers that follow each other without a normalization between them."""
    runs: dict[object, list[int]] = {}
    for index, layer in enumerate(layers):
        runs.setdefault(("alone", index) if layer.chain is None else layer.chain, []).append(index)
    return list(runs.values())


def _on_axis(value: float | None) -> float:
    """NaN for what a logarithmic axis has no place for."""
    return value if value is not None and 0 < value < math.inf else math.nan


def _limit(axes: Axes, values: list[float]) -> None:
    """Limits of ten times or more, with plain powers of ten as ticks."""
    low, high = (min(values), max(values)) if values else (1.0, 1.0)
    low, high = max(low / 3.5, 1e-300), min(high * 3.5, 1e300)
    axes.set_ylim(low, high)
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    ticks = [10.0**power for power in powers[:: 1 + len(powers) // 6]]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(axis="y", color=FAINT, alpha=0.25)


def _dots(
    axes: Axes,
    layers: Sequence[Layer],
    values: Sequence[float | None],
    found: Mapping[str, Severity],
) -> None:
    """A dot for each layer; at the edge of the plot where its value is zero or not finite."""
    size = 3.5 if len(layers) <= 60 else 1.5
    dots: dict[tuple[Severity | None, str], list[tuple[int, float]]] = {}
    for number, (layer, value) in enumerate(zip(layers, values, strict=True), 1):
        if value is not None:
            edge = "" if _on_axis(value) == value else "zero" if value == 0 else "not finite"
            dots.setdefault((found.get(layer.name), edge), []).append((number, value))
    for (severity, edge), points in dots.items():
        at, height = zip(*points, strict=True)
        bad = severity in ("warning", "error")
        style: dict[str, Any] = {"ls": "", "marker": _EDGES[edge][0], "zorder": 4 if bad else 3}
        style |= _MARKERS[severity] | {"ms": size + 2 if bad or edge else size}
        if not edge:
            axes.plot(at, height, **style)
            continue
        where = [_EDGES[edge][1]] * len(at)
        axes.plot(at, where, transform=axes.get_xaxis_transform(), clip_on=False, **style)
