"""The measurements as tables and as a figure; the conditions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from fanin.studies._drawing import PALETTE, legend_beside, plain_ticks
from fanin.studies._study import Table
from fanin.studies.symmetry import _biases, _tied
from fanin.studies.symmetry._setup import (
    CONSTANT,
    NOISES,
    ONE_VALUE,
    RATE,
    SEED,
    SymmetrySize,
    checks,
    equal,
    percent,
)


def equal_table(found: Mapping[str, Any]) -> Table:
    """Networks whose units begin alike."""
    rows = [
        (
            name,
            str(max(ranks[0] for ranks in network["weights"])),
            str(max(ranks[1] for ranks in network["weights"])),
            str(max(max(ranks) for ranks in network["hidden"])),
            f"{max(network['spread']):.2g}",
            f"{max(network['difference']):.2g}",
            f"{network['largest_weight']:.3g}",
            percent(network["accuracy"]),
        )
        for name, network in equal(found).items()
    ]
    return Table(
        "Equal units: the largest of each over the training",
        (
            "start",
            "rank of W1",
            "of W2",
            "of activations",
            "spread",
            "difference",
            "weight",
            "accuracy",
        ),
        rows,
        "Spread: distance between the incoming weights of two units of a layer. Difference: of the "
        "outputs from those of the one-unit model.",
    )


def noise_table(found: Mapping[str, Any]) -> Table:
    """Networks whose units begin nearly alike."""
    names = [*(f"noise {noise}" for noise in NOISES), "random"]
    rows = [
        (
            name,
            f"{found[name]['spread'][0]:.2g}",
            f"{found[name]['spread'][-1]:.2g}",
            f"{found[name]['hidden'][0]} to {found[name]['hidden'][-1]}",
            percent(found[name]["accuracy"]),
        )
        for name in names
    ]
    return Table(
        f"Noise on weights of {CONSTANT:g}, tanh",
        ("start", "spread, first", "last", "rank of the second layer", "accuracy"),
        rows,
        f"Rank counts singular values above {_tied.TINY:g} of the largest.",
    )


def draw(found: Mapping[str, Any], size: SymmetrySize, axes: Sequence[Axes]) -> None:
    """How far the units are apart, by step."""
    for noise, colour in zip((*NOISES, None), PALETTE, strict=False):
        spread = found[f"noise {noise}" if noise else "random"]["spread"]
        label = f"noise {noise:g}" if noise else "He's start"
        axes[0].plot(
            checks(size.noise_steps), np.maximum(spread, 1e-17), color=colour, lw=1.6, label=label
        )
    axes[0].set_yscale("log")
    plain_ticks(axes[0].yaxis)
    axes[0].set(xlabel="step", ylabel="spread", xlim=(0, size.noise_steps))
    legend_beside(axes[0])


def conditions(size: SymmetrySize) -> list[str]:
    """Everything that the figures depend on."""
    return [
        f"Equal units: {size.images} digits of scikit-learn, pixels less their mean; 784 inputs, "
        f"two hidden layers of {size.width}, 10 outputs; cross-entropy on all images, "
        f"{size.steps} steps at {RATE:g} ({size.noise_steps} with noise and from He's start), "
        f"float64; weights 0, {CONSTANT:g} or {ONE_VALUE:g}, biases 0; seed {SEED} of the noise.",
        "The mapping: behind a layer of k units the one unit's weight is k times theirs. A step of "
        "rate r on the network is, on the one-unit model, a step of r / k on the first weight and "
        "the hidden biases, r on the second weight and the last bias, k r on the last weight.",
        f"Biases: {_biases.describe(size.sample)}",
    ]
