"""Gradients by layer as tables and as a figure."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from fanin.studies._drawing import PALETTE, plain_ticks
from fanin.studies._study import Table
from fanin.studies.depth import _dead, _gradients
from fanin.studies.depth._article import gradient_factor
from fanin.studies.depth._setup import (
    ACTIVATIONS,
    DEAD,
    GRADIENTS,
    LARGE,
    NONNEGATIVE,
    RULES,
    XAVIER,
)

SHOWN = (("sigmoid", XAVIER), ("tanh", LARGE), ("relu", XAVIER))


def gradient_table(found: Mapping[str, Any]) -> Table:
    """The factors of weights and biases, of all starts."""
    rows = []
    for rule, name in RULES.items():
        cells = [name]
        for activation in ACTIVATIONS:
            both = (gradient_factor(found, activation, rule, kind) for kind in ("bias", "weight"))
            cells.append(" / ".join(f"{value:.3g}" if value else "-" for value in both))
        rows.append(tuple(cells))
    return Table(
        f"Gradients of biases / of weights, factor a layer in {_gradients.DEPTH} layers",
        ("start", *ACTIVATIONS),
        rows,
        "From the last layer to the first. A weight's gradient has the size of the signal in it, "
        "too: where small weights shrink both, it is the same in all layers, and tiny.",
    )


def sign_table(found: Mapping[str, Any]) -> Table:
    """Sigmoids behind weights of one sign, and dead units."""
    rows = [
        (
            start,
            _cell(_gradients.layer_factor(signals["delta"])),
            _cell(_steepest(signals["delta"])),
        )
        for start, signals in found[NONNEGATIVE].items()
    ]
    for name in _dead.MODULES:
        for rate, counts in found[f"{DEAD}{name}"].items():
            told = f"{counts['dead']} of {counts['units']} dead"
            lost = f", {counts['not_finite']} networks not finite" if counts["not_finite"] else ""
            rows.append((f"{name}, rate {rate}", "-", f"{told}{lost}"))
    return Table(
        "Weights of one sign with sigmoids; units that die",
        ("start", "gradient a layer", "largest from a layer to the next, or dead units"),
        rows,
        "Centred: biases that leave sums of mean zero where all activations are 1/2.",
    )


def _steepest(values: Sequence[float]) -> float | None:
    """The largest factor from a layer to the one before it."""
    factors = [before / after for before, after in itertools.pairwise(values) if after]
    return max(factors, default=None)


def _cell(value: float | None) -> str:
    return f"{value:.3g}" if value else "-"


def draw_biases(found: Mapping[str, Any], axes: Sequence[Axes]) -> None:
    """Gradients of biases and of weights, a panel for each of three starts."""
    for panel, (activation, rule) in zip(axes, SHOWN, strict=True):
        signals = found[f"{GRADIENTS}{activation}"][rule]
        for kind, told, colour, style in (
            ("weight", "weights", PALETTE[0], "-"),
            ("bias", "biases", PALETTE[1], "--"),
        ):
            layers = range(1, len(signals[kind]) + 1)
            panel.plot(layers, signals[kind], style, color=colour, lw=1.6, label=told)
        panel.set_yscale("log")
        plain_ticks(panel.yaxis)
        panel.set_title(f"{activation}, {RULES[rule]}", fontsize=9)
        panel.set(xlabel="layer")
    axes[0].set_ylabel("RMS of the gradient")
    axes[0].legend(frameon=False, fontsize=8)
