"""What two articles say of gradients, rectifiers and fans, and what was measured."""

import math
from collections.abc import Mapping
from typing import Any

from fanin.studies._sources import DJURIC, DOSHI
from fanin.studies._study import Claim
from fanin.studies.depth import _borders, _gradients, _taper
from fanin.studies.depth._setup import (
    ACTIVATIONS,
    CENTRED,
    CLOSE,
    DEAD,
    GRADIENTS,
    HE,
    LARGE,
    NONNEGATIVE,
    OVERSHOOT,
    RULES,
    SMALL,
    TAPER,
    XAVIER,
    DepthSize,
    factor,
    start_of,
    tell_depth,
)

LEAKY = "leaky_relu(0.2)"


def gradient_factor(
    found: Mapping[str, Any], activation: str, rule: str, kind: str
) -> float | None:
    """The factor a layer of a kind of gradient, from the last layer to the first."""
    return _gradients.layer_factor(found[f"{GRADIENTS}{activation}"][rule][kind])


def early_slowest(found: Mapping[str, Any], activation: str, size: DepthSize) -> Claim:
    """N(0, 1) weights with a sigmoid or tanh, in layers of two widths."""
    wide = factor(found, activation, LARGE, "backward") or 0.0
    narrow = gradient_factor(found, activation, LARGE, "delta") or 0.0
    weights = found[f"{GRADIENTS}{activation}"][LARGE]["weight"]
    ratio = weights[0] / weights[-1]
    vanishes = [each < 1 - CLOSE for each in (wide, narrow)]
    differ = vanishes[0] != vanishes[1] and ratio < 1
    return Claim(
        f"N(0, 1) weights in a deep {activation} network: the gradient vanishes, and early layers "
        "learn slowest",
        DOSHI,
        f"The gradient's factor a layer is {wide:.2f} in layers of {size.width} and {narrow:.2f} "
        f"in layers of {_gradients.WIDTH}. There, in {len(weights)} layers, the gradient of the "
        f"first weight is {ratio:.2g} times that of the last.",
        None if differ else all(vanishes) and ratio < 1,
        "It depends on the width."
        if differ
        else f"Holds if both factors are below {1 - CLOSE:g} and the first gradient is smaller.",
        {"wide": wide, "narrow": narrow, "first_to_last": ratio},
    )


def relu_fine(found: Mapping[str, Any]) -> Claim:
    """ReLU and vanishing gradients."""
    factors = {rule: gradient_factor(found, "relu", rule, "delta") or 0.0 for rule in RULES}
    told = ", ".join(f"{value:.3g} ({RULES[rule]})" for rule, value in factors.items())
    return Claim(
        "With ReLU vanishing gradients are generally not a problem",
        DOSHI,
        f"The gradient's factor a layer: {told}.",
        min(factors.values()) >= 1 - CLOSE,
        f"Holds if none is below {1 - CLOSE:g}; small weights make it vanish all the same.",
        factors,
    )


def explode(found: Mapping[str, Any]) -> Claim:
    """Large weights of one sign with sigmoids."""
    factors = {
        rule: _gradients.layer_factor(signals["delta"]) or 0.0
        for rule, signals in found[NONNEGATIVE].items()
    }
    largest = max(factors, key=lambda rule: factors[rule])
    parts = [found[name] for name in OVERSHOOT]
    lost = sum(_borders.find_end(part, end) for part in parts for end in ("nan", "diverged"))
    runs = sum(
        count
        for part in parts
        for row in part.values()
        for ends in row["verdicts"]
        for count in ends.values()
    )
    explodes, overshoots = factors[largest] > 1 + CLOSE, lost > 0
    differ = explodes != overshoots
    return Claim(
        "Large weights that are not negative and the small activations of a sigmoid: gradients "
        "explode, steps overshoot, the loss may become NaN",
        DOSHI,
        f"The gradient's factor a layer is {factors[largest]:.2g} at most ({largest}). Of {runs} "
        f"trainings {lost} end with NaN or above twice the loss of guessing.",
        None if differ else explodes,
        f"Only one of the two was found: {'exploding gradients' if explodes else 'lost trainings'}."
        if differ
        else f"Holds if a factor is above {1 + CLOSE:g} and a training is lost; refuted if "
        "neither.",
        {"lost": lost, **factors},
    )


def never_zero(found: Mapping[str, Any]) -> Claim:
    """The gradient of a leaky ReLU."""
    layers = found[f"signals {LEAKY}"][SMALL]["gradient_underflow"]
    known = sorted(layer for layer in layers if layer)
    told = f"is zero {known[0]} layers from the last" if known else "stays above zero"
    return Claim(
        "A leaky ReLU never has a gradient of zero",
        DOSHI,
        f"Its slope is never zero, but from {RULES[SMALL]} the gradient {told}, in float32.",
        not known,
        "Refuted if it is zero in a layer, in one of the networks measured.",
        {"layers": layers},
    )


def never_dies(found: Mapping[str, Any]) -> Claim:
    """Units of a leaky ReLU beside those of a ReLU."""
    dead, units = (
        {
            name: sum(rate[what] for rate in found[f"{DEAD}{name}"].values())
            for name in ("relu", LEAKY)
        }
        for what in ("dead", "units")
    )
    lost = sum(rate["not_finite"] for name in dead for rate in found[f"{DEAD}{name}"].values())
    open_verdict = lost > 0 or dead["relu"] == dead[LEAKY] == 0
    return Claim(
        "A leaky ReLU never dies",
        DOSHI,
        f"Without gradient on every image after training: {dead[LEAKY]} of {units[LEAKY]} hidden "
        f"units, beside {dead['relu']} of {units['relu']} with ReLU.",
        None if open_verdict else dead[LEAKY] == 0,
        f"{lost} networks are not finite, or no unit of a ReLU died either."
        if open_verdict
        else "",
        dead,
    )


def mitigate(found: Mapping[str, Any], size: DepthSize) -> Claim:
    """What the heuristics do for the gradient, and what they do not."""
    told, better, solved = [], [], []
    for activation, rule in (("relu", HE), ("tanh", XAVIER)):
        theirs, large, small = (
            gradient_factor(found, activation, each, "delta") or 0.0
            for each in (rule, LARGE, SMALL)
        )
        depth = start_of(found, activation, rule)
        off = [abs(math.log(value)) if value else math.inf for value in (theirs, large, small)]
        better.append(off[0] < min(off[1:]))
        solved.append(depth == size.sweep.depths[-1])
        told.append(
            f"{RULES[rule]} with {activation}: {theirs:.3g} a layer, between {small:.3g} and "
            f"{large:.3g} of 0.01 N(0, 1) and N(0, 1), and training starts to depth "
            f"{tell_depth(depth)}"
        )
    return Claim(
        "These heuristics mitigate vanishing and exploding gradients and do not solve them",
        DOSHI,
        f"{'; '.join(told)}, of {size.sweep.depths[-1]}.",
        all(better) and not any(solved),
        "Holds if both are nearer to 1 than the others, and neither trains to the deepest.",
    )


def near_one(size: DepthSize) -> Claim:
    """The size of the weights themselves."""
    deviations = {HE: math.sqrt(2 / size.width), XAVIER: math.sqrt(1 / size.width)}
    told = ", ".join(f"{value:.3f} ({RULES[rule]})" for rule, value in deviations.items())
    return Claim(
        "By these heuristics weights come out neither much above 1 nor much below",
        DOSHI,
        f"The standard deviation of a weight in a layer of {size.width}: {told}. Near 1 is the "
        "factor a layer, not the weight.",
        all(0.5 <= value <= 2 for value in deviations.values()),
        "Holds if both are between 1/2 and 2.",
        deviations,
    )


def biases_keep(found: Mapping[str, Any]) -> Claim:
    """The gradients of biases."""
    factors = {
        (activation, rule): [
            gradient_factor(found, activation, rule, kind) or 0.0 for kind in ("bias", "weight")
        ]
        for activation in ACTIVATIONS
        for rule in RULES
    }
    moved = {name: both for name, both in factors.items() if abs(both[0] - 1) > CLOSE}
    least, most = (choose(factors, key=lambda name: factors[name][0]) for choose in (min, max))
    told = "; ".join(
        f"{factors[name][0]:.3g} a layer from {RULES[name[1]]} with {name[0]}, where weights have "
        f"{factors[name][1]:.3g}"
        for name in (least, most)
    )
    return Claim(
        "The gradients of biases neither vanish nor explode, for they depend on their own layer's "
        "linear activation alone",
        DOSHI,
        f"From {len(moved)} of {len(factors)} pairs of start and activation they do; the least and "
        f"the most: {told}.",
        not moved,
        f"Holds if every factor is within {100 * CLOSE:g} % of 1. By the chain rule a bias has the "
        "gradient of its layer's sum, which all layers behind it multiply.",
        {"moved": len(moved), "least": factors[least][0], "most": factors[most][0]},
    )


def fans_favour(found: Mapping[str, Any]) -> Claim:
    """What the two fans keep."""
    gains = found[TAPER]
    verdicts, told = [], []
    for shaped in _taper.SHAPES:
        forward, backward = (
            [gains[f"{mode}, {shaped}"][which] for mode in _taper.MODES]
            for which in ("forward", "backward")
        )
        kept = abs(forward[0] - 1) <= CLOSE and abs(backward[-1] - 1) <= CLOSE
        off = [[abs(math.log(value)) for value in side] for side in (forward, backward[::-1])]
        verdicts.append(kept and all(side[0] < side[1] < side[2] for side in off))
        told.append(
            f"{shaped}: forward {', '.join(f'{value:.2f}' for value in forward)}, backward "
            f"{', '.join(f'{value:.2f}' for value in backward)}"
        )
    return Claim(
        "Variance by n_in favours the forward signal, by n_out the gradient; Xavier's is the "
        "compromise, uniform or normal",
        DJURIC,
        f"Through layers of {', '.join(map(str, _taper.WIDTHS))} the whole network's factor under "
        f"{', '.join(_taper.MODES.values())}: {'; '.join(told)}.",
        all(verdicts),
        f"Holds if n_in keeps the signal and n_out the gradient within {100 * CLOSE:g} %, and "
        "Xavier's is between both in either direction.",
        {f"{name}, {which}": value[which] for name, value in gains.items() for which in value},
    )


def tell_centred(rule: str) -> str:
    """The name of a start whose biases put a sigmoid to the middle."""
    return f"{rule}{CENTRED}"
