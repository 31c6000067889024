"""The measurements as tables and as figures; the conditions."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from fanin.studies._drawing import PALETTE, legend_beside, plain_ticks
from fanin.studies._study import Table
from fanin.studies.depth import _borders, _dead, _gradients, _propagation
from fanin.studies.depth._setup import (
    GLOROT,
    OVERSHOOT,
    RULES,
    DepthSize,
    factor,
    predict,
    start_of,
    tell_depth,
)


def table(found: Mapping[str, Any], activation: str) -> Table:
    """All starts with one activation."""
    rows = []
    for rule, name in RULES.items():
        signals = found[f"signals {activation}"][rule]
        cells = [name]
        for which in ("forward", "backward"):
            measured = factor(found, activation, rule, which)
            theory = predict(found, activation, rule, which)
            beside = f" ({theory:.3g})" if theory else ""
            known = measured and not (which == "backward" and any(signals["overflow"]))
            cells.append(f"{measured:.3g}{beside}" if known else "-")
        cells.append(_lost(signals["overflow"], signals["underflow"]))
        cells.append(_lost(signals["gradient_overflow"], signals["gradient_underflow"]))
        if f"training {activation}" in found:
            cells += [tell_depth(start_of(found, activation, rule, clip)) for clip in (False, True)]
        else:
            cells += ["-", "-"]
        rows.append(tuple(cells))
    return Table(
        f"Factor a layer, where float32 ends, and to which depth training starts: {activation}",
        ("start", "forward", "backward", "signal lost", "gradient lost", "trains to", "clipped"),
        rows,
        "Factors: measured (theory, of gradients only where no signal is lost); none of gradients "
        "where signals overflow. Lost: the layer, counted from where signal or gradient starts, at "
        "which half of the runs overflow or are zero. Trains to, clipped: without and with it.",
    )


def _lost(overflow: Sequence[int | None], underflow: Sequence[int | None]) -> str:
    for name, layers in (("overflow", overflow), ("zero", underflow)):
        known = [layer for layer in layers if layer]
        if 2 * len(known) >= len(layers):
            return f"{name} at {median(known):.0f}"
    return "-"


def draw(found: Mapping[str, Any], activation: str, axes: Sequence[Axes]) -> None:
    """RMS by layer, of signals and of gradients."""
    shown = [rule for rule in RULES if rule != GLOROT]
    for panel, which in zip(axes, ("forward", "backward"), strict=True):
        for rule, colour in zip(shown, PALETTE, strict=False):
            values = found[f"signals {activation}"][rule][which]
            kept = np.array([value if value else np.nan for value in values])
            layers = np.arange(1, len(kept) + 1)
            panel.plot(layers, kept, color=colour, lw=1.5, label=RULES[rule])
        panel.set_yscale("log")
        plain_ticks(panel.yaxis)
        panel.set_title({"forward": "signals", "backward": "gradients"}[which], fontsize=10)
        panel.set(xlabel="layer", xlim=(1, len(kept)))
    axes[0].set_ylabel("RMS")
    legend_beside(axes[-1])


def conditions(size: DepthSize) -> list[str]:
    """Everything that the figures depend on."""
    return [
        f"Signals: {size.depth} layers of width {size.width} without biases, "
        f"{_propagation.INPUTS} normal inputs, float32, medians over seeds 0 to {size.seeds - 1}. "
        "Factors are means over the layers before a signal is lost.",
        "Orthogonal weights have gain 1 with sigmoid and tanh, the activation's with rectifiers. "
        "In layers of one width LeCun's, Xavier 1/n and Glorot's rules are one and the same; "
        "'of the series' has the standard deviation 1/n.",
        f"Training: {_borders.describe(size.sweep)}",
        f"Gradients of weights and biases: {_gradients.DEPTH} layers of {_gradients.WIDTH} with "
        f"zero biases, {_propagation.INPUTS} normal inputs, random labels of "
        f"{_gradients.CLASSES} classes, cross-entropy, float64. Weights of one sign: the same; "
        f"trained as above at depths {', '.join(map(str, size.sweep.depths[:3]))} and the rates "
        f"{', '.join(f'{rate:g}' for rate in OVERSHOOT.values())}.",
        f"Dead units: {_dead.DEPTH} hidden layers of {_borders.WIDTH} from He's start, "
        f"{size.dead[1]} steps on {size.dead[0]} digits at once, rates "
        f"{' and '.join(f'{rate:g}' for rate in _dead.RATES)}, {size.dead[2]} seeds from "
        f"{_dead.FIRST_SEED} on, float64. Fans that differ: a linear network without biases.",
    ]
