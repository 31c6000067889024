"""The critical line, a wide network on it, and depth scales beside it."""

from collections.abc import Mapping
from typing import Any

from fanin.gains import critical_weight_variance, depth_theory
from fanin.studies._rows import Check, ClaimFamily, ClaimRow, part, within
from fanin.studies._study import StudyPart
from fanin.studies.classics._chain import backward, draw, forward, normal, square

# Bias variance to weight variance of tanh, both times fan_in where that applies.
CRITICAL = {2.01e-5: 1.0500, 0.0025: 1.2601, 0.01: 1.4242, 0.04: 1.7008, 0.05: 1.76095, 0.2: 2.2852}
BIAS, WEIGHT, Q_STAR = 0.05, 1.76095, 0.570
# Weight variance to depth scale and chi1, at that bias variance.
SCALES = {
    1.0: (3.6, 0.759),
    1.3: (7.8, 0.880),
    1.5: (15.8, 0.939),
    1.7: (74.9, 0.987),
    1.9: (39.4, 1.028),
    2.5: (11.8, 1.134),
    4.0: (7.0, 1.342),
}
SETTLED = 10  # layers after which the variance has come to rest


def wide(width: int, depth: int, seed: int) -> dict[str, float]:
    """One critical network of tanh: variance and chi over the layers behind the first ten.

    chi is the growth of a gradient's squared norm in a layer: ratios of sums, not of single layers.
    """
    weights = draw(f"variance_scaling({WEIGHT}, 'fan_in', 'normal')", width, depth, seed)
    biases = [normal((width,), BIAS**0.5, seed, f"layers.{k}.bias") for k in range(depth)]
    passed = forward(weights, normal((16, width), 1.0, seed), "tanh", biases)
    back = backward(passed, normal((16, width), 1.0, seed, "gradient"))[0]
    sizes = [square(gradient) for gradient in back[SETTLED:]]
    return {
        "q": sum(square(signal) for signal in passed.before[SETTLED:]) / (depth - SETTLED),
        "chi": sum(sizes[:-1]) / sum(sizes[1:]),
    }


def measure_lines() -> dict[str, Any]:
    """The critical line and the depth scales, by integration."""
    theories = {str(weight): depth_theory("tanh", weight, BIAS) for weight in SCALES}
    return {
        "critical": {str(bias): critical_weight_variance("tanh", bias) for bias in CRITICAL},
        "relu": critical_weight_variance("relu"),
        "xi": {weight: theory.xi_c for weight, theory in theories.items()},
        "chi": {weight: theory.chi1 for weight, theory in theories.items()},
        "q_star": depth_theory("tanh", WEIGHT, BIAS).q_star,
    }


def measure_wide(width: int, depth: int, networks: int) -> list[dict[str, float]]:
    """Wide critical networks of seeds 0, 1, ..."""
    return [wide(width, depth, seed) for seed in range(networks)]


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    sizes = (
        {"width": 200, "depth": 40, "networks": 8}
        if quick
        else {"width": 1000, "depth": 60, "networks": 60}
    )
    return [part("lines", measure_lines), part("wide", measure_wide, **sizes)]


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    lines, networks = found["lines"], found["wide"]
    wide_checks = [
        within(
            "q of wide networks there",
            Q_STAR,
            [network["q"] for network in networks],
            0.01 * Q_STAR,
        ),
        within("chi of wide networks there", 1.0, [network["chi"] for network in networks], 0.01),
    ]
    return [
        ClaimRow(
            "ReLU is critical at weight variance 2 and bias variance 0, tanh on a line through "
            "(1.76095, 0.05), where q* is 0.570 and chi is 1",
            "Poole et al. 2016; Schoenholz et al. 2017; the figures by quadrature",
            f"By integration, and on {len(networks)} networks.",
            [
                within("relu", 2.0, lines["relu"], 1e-6),
                *(_line(bias, lines) for bias in CRITICAL),
                within("q* at bias variance 0.05", Q_STAR, lines["q_star"], 0.0005),
                *wide_checks,
            ],
        ),
        ClaimRow(
            "Depth scales of tanh at bias variance 0.05: xi_c is 3.6 at weight variance 1, 74.9 at "
            "1.7, 7.0 at 4",
            "Schoenholz et al. 2017; the figures by quadrature",
            "By integration.",
            [
                within(f"xi_c at {weight:g}", xi, lines["xi"][str(weight)], 0.05)
                for weight, (xi, _) in SCALES.items()
            ],
        ),
        ClaimRow(
            "There the squared norm of a gradient grows by chi1 = 0.759 a layer at weight variance "
            "1, 0.987 at 1.7, 1.342 at 4",
            "Schoenholz et al. 2017; the figures by quadrature",
            "By integration.",
            [
                within(f"chi1 at {weight:g}", chi, lines["chi"][str(weight)], 0.0005)
                for weight, (_, chi) in SCALES.items()
            ],
        ),
        ClaimRow(
            "The point (1.05, 2.01e-5), where networks of 10,000 layers of tanh were trained, lies "
            "on the critical line",
            "Xiao et al. 2018",
            "The point alone is looked at; no network of that depth was trained.",
            [within("critical weight variance", 1.05, lines["critical"]["2.01e-05"], 0.005)],
        ),
    ]


def _line(bias: float, lines: Mapping[str, Any]) -> Check:
    digits = 5e-6 if CRITICAL[bias] == WEIGHT else 5e-5
    name = f"tanh, bias variance {bias:g}"
    return within(name, CRITICAL[bias], lines["critical"][str(bias)], digits)


MEANFIELD = ClaimFamily(parts, rows)
