"""What PyTorch's default does to deep networks, and how gains saturate tanh."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fanin.initializers import torch_bias
from fanin.studies._rows import Check, ClaimFamily, ClaimRow, near, part, within
from fanin.studies._study import StudyPart
from fanin.studies.classics._chain import backward, draw, forward, normal, square

DEFAULT = "torch_default"
GAINS = {"1/sqrt 3": 1 / 3, "1": 1.0, "5/3": 25 / 9}  # squared
NORMS = {"1/sqrt 3": 1.5e-5, "1": 0.27, "5/3": 6.9}
SATURATED = {
    "gain 1": (1.0, 0.001, 0.000),
    "gain 5/3": (25 / 9, 0.046, 0.054),
    "gain 2": (4.0, 0.096, 0.151),
    "N(0, 1) weights": (None, 0.835, 0.894),
}
DEPTH = 20


def growth(activation: str, width: int, depth: int, seed: int) -> float:
    """The factor a layer of the pre-activations' mean square under torch's default weights."""
    weights = draw(DEFAULT, width, depth, seed)
    before = forward(weights, normal((32, width), 1.0, seed), activation).before
    return float((square(before[-1]) / square(before[0])) ** (1 / (depth - 1)))


def bias_share(width: int, seed: int) -> float:
    """3 width times the mean square of a default bias."""
    return 3 * width * square(torch_bias(width)((width,), seed=seed, name="layers.0.bias"))


def tanh_deep(variance: float | None, width: int, seed: int) -> dict[str, float]:
    """20 layers of tanh on tanh of N(0, 1): share of |h| > 0.97, and growth of the gradient.

    `variance` is that of a weight times the width; None is variance 1. The growth is that of the
    squared norm from the last layer's output to the first one's input.
    """
    scale = width if variance is None else variance
    weights = draw(f"variance_scaling({scale!r}, 'fan_in', 'normal')", width, DEPTH, seed)
    passed = forward(weights, np.tanh(normal((32, width), 1.0, seed)), "tanh")
    last = normal(passed.after[-1].shape, 1.0, seed, "gradient")
    back = backward(passed, last)[1]
    return {
        "first": float(np.mean(np.abs(passed.after[1]) > 0.97)),
        "last": float(np.mean(np.abs(passed.after[-1]) > 0.97)),
        "gradient": square(back[0]) / square(back[-1]),
    }


def measure(width: int, networks: int) -> dict[str, Any]:
    """All of the family for networks of seeds 0, 1, ..."""
    seeds = range(networks)
    scales = {variance for variance, _, _ in SATURATED.values()} | set(GAINS.values())
    return {
        "linear": [growth("identity", width, 10, seed) for seed in seeds],
        "relu": [growth("relu", width, 10, seed) for seed in seeds],
        "bias": [bias_share(width, seed) for seed in seeds],
        "tanh": {
            _key(scale): [tanh_deep(scale, width, seed) for seed in seeds] for scale in scales
        },
    }


def _key(scale: float | None) -> str:
    return "unit" if scale is None else f"{scale:.4f}"


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    return [part("defaults", measure, width=256, networks=10 if quick else 100)]


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    measured = found["defaults"]
    tanh = measured["tanh"]
    networks = len(measured["linear"])
    shares: list[Check] = []
    for name, (scale, first, last) in SATURATED.items():
        for layer, published in (("first", first), ("last", last)):
            values = [shares[layer] for shares in tanh[_key(scale)]]
            allowed = 0.0005 + 0.05 * published
            shares.append(
                within(
                    f"{name}, layer {1 if layer == 'first' else DEPTH}", published, values, allowed
                )
            )
    norms = [
        _norm(f"tanh, {DEPTH} layers, gain {name}", NORMS[name], tanh[_key(scale)])
        for name, scale in GAINS.items()
    ]
    how = f"{networks} networks of width 256, inputs N(0, 1)"
    return [
        ClaimRow(
            "PyTorch's default, U(+-1/sqrt fan_in), multiplies the variance by 1/3 a linear layer "
            "and by 1/6 behind a ReLU; its bias adds 1/(3 fan_in); gradients of tanh vanish",
            "torch.nn.Linear, reset_parameters",
            f"{how}.",
            [
                near("factor a layer, linear", 1 / 3, measured["linear"]),
                near("factor a layer, relu", 1 / 6, measured["relu"]),
                near("variance of a bias times 3 fan_in", 1.0, measured["bias"]),
                *norms,
            ],
        ),
        ClaimRow(
            "Gains 1, 5/3 and 2 leave few units of tanh saturated (|h| > 0.97), N(0, 1) weights "
            "nearly all",
            "Djuric 2019, part 13: big weights saturate; the figures by simulation",
            f"{how} through a tanh.",
            shares,
        ),
    ]


def _norm(figure: str, published: float, networks: list[dict[str, float]]) -> Check:
    """The root of the mean squared ratio, and of that mean's interval."""
    check = near(figure, published, [network["gradient"] for network in networks])
    low, mean, high = (
        float(np.sqrt(max(value, 0.0)))
        for value in (check.measured.low, check.measured.mean, check.measured.high)
    )
    return Check(figure, published, type(check.measured)(mean, low, high), check.allowed)


DEFAULTS = ClaimFamily(parts, rows)
