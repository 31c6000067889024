"""What is said of depth, and what was measured."""

from collections.abc import Mapping
from statistics import median
from typing import Any

from fanin.studies._sources import DJURIC, DOSHI
from fanin.studies._study import Claim
from fanin.studies.depth import _borders
from fanin.studies.depth._setup import (
    ACTIVATIONS,
    CLIPPED,
    CLOSE,
    GLOROT,
    HE,
    LARGE,
    ORTHOGONAL,
    RULES,
    SMALL,
    XAVIER,
    DepthSize,
    factor,
    predict,
    start_of,
    tell_depth,
)

KEPT = (
    (
        "tanh",
        XAVIER,
        1.0,
        "Normal weights of variance 1/n (Xavier) suit tanh: they keep its signals",
        f"{DOSHI}; Glorot and Bengio 2010",
    ),
    ("relu", XAVIER, 0.5**0.5, "Under Xavier 1/n a ReLU halves the variance", "He et al. 2015"),
    (
        "relu",
        HE,
        1.0,
        "Normal weights of variance 2/n (He) suit ReLU: they keep its signals",
        f"{DOSHI}; He et al. 2015",
    ),
    (
        "tanh",
        ORTHOGONAL,
        1.0,
        "Orthogonal weights keep those of a tanh network",
        "Saxe et al. 2013",
    ),
)
"""Activation, rule, factor a layer, claim and source."""


def overflow(found: Mapping[str, Any], size: DepthSize) -> Claim:
    """Large weights overflow."""
    layers = found["signals relu"][LARGE]["overflow"]
    everywhere = all(layers)
    where = f"at layer {median(layers):.0f} (median)" if everywhere else "not in every run"
    return Claim(
        f"N(0, 1) weights: the signals of a ReLU network of width {size.width} overflow",
        "He et al. 2015, section 2.2",
        f"float32 overflows {where}; the factor a layer is "
        f"{factor(found, 'relu', LARGE, 'forward'):.3g}.",
        everywhere,
        figures={"layers": layers},
    )


def vanish(found: Mapping[str, Any], size: DepthSize) -> Claim:
    """Small weights vanish."""
    layers = {name: found[f"signals {name}"][SMALL]["underflow"] for name in ("tanh", "relu")}
    everywhere = all(all(reached) for reached in layers.values())
    told = ", ".join(
        f"{name} {f'at layer {median(reached):.0f}' if all(reached) else 'not in every run'}"
        for name, reached in layers.items()
    )
    return Claim(
        f"Too small weights make the signal feeble in many layers: 0.01 N(0, 1) in {size.depth}",
        f"{DJURIC}; Glorot and Bengio 2010; He et al. 2015",
        f"They become zero in float32: {told}.",
        everywhere,
        figures=layers,
    )


def count_kept(
    found: Mapping[str, Any],
    activation: str,
    rule: str,
    wanted: float,
    statement: str,
    source: str,
) -> Claim:
    """A rule scales signals and gradients by the factor that is said."""
    factors = [factor(found, activation, rule, which) for which in ("forward", "backward")]
    layers = len(found[f"signals {activation}"][rule]["forward"])
    told = [
        f"{value:.3f} (over all {layers} layers {value ** (layers - 1):.2g})" if value else "lost"
        for value in factors
    ]
    close = [value is not None and abs(value / wanted - 1) <= CLOSE for value in factors]
    return Claim(
        statement,
        source,
        f"Factor a layer {told[0]} forward and {told[1]} backward; {wanted:.3f} is said.",
        all(close),
        f"Holds within {100 * CLOSE:g} % a layer.",
        {"forward": factors[0], "backward": factors[1]},
    )


def sigmoid(found: Mapping[str, Any]) -> Claim:
    """Gradients of sigmoids vanish from every start."""
    factors = {rule: factor(found, "sigmoid", rule, "backward") or 0.0 for rule in RULES}
    best = max(factors, key=lambda rule: factors[rule])
    return Claim(
        "With sigmoids gradients vanish, whatever the start",
        "often said",
        f"The gradient's factor a layer is {factors[best]:.3f} from {RULES[best]}, the largest, "
        f"and {factors[GLOROT]:.3f} from Glorot's start.",
        factors[best] < 1 - CLOSE,
        f"Holds if the largest is below {1 - CLOSE:g}.",
        factors,
    )


def theory(found: Mapping[str, Any]) -> Claim:
    """Theory predicts the factors."""
    worst, where = 1.0, "nowhere"
    for activation in ACTIVATIONS:
        for rule in RULES:
            for which in ("forward", "backward"):
                measured = factor(found, activation, rule, which)
                expected = predict(found, activation, rule, which)
                off = (
                    max(measured / expected, expected / measured) if measured and expected else 1.0
                )
                if off > worst:
                    worst, where = off, f"{RULES[rule]}, {activation}, {which}"
    return Claim(
        "Mean-field theory predicts both scales, layer by layer",
        "Poole et al. 2016; Schoenholz et al. 2017",
        f"The factors a layer differ by {100 * (worst - 1):.1f} % at most ({where}).",
        worst <= 1 + CLOSE,
        f"Holds within {100 * CLOSE:g} %.",
        {"off": worst - 1},
    )


def he_deeper(found: Mapping[str, Any], size: DepthSize) -> Claim:
    """He's rule trains deeper than Xavier's."""
    starts = {rule: start_of(found, "relu", rule) for rule in (HE, XAVIER)}
    he, xavier = (starts[rule] or 0 for rule in (HE, XAVIER))
    return Claim(
        "He's rule trains deeper ReLU networks than Xavier 1/n",
        "He et al. 2015, figure 3",
        f"Training starts to depth {tell_depth(starts[HE])} and {tell_depth(starts[XAVIER])}.",
        None if he == xavier else he > xavier,
        f"They are level; the deepest tried is {size.sweep.depths[-1]}." if he == xavier else "",
        {"he": starts[HE], "xavier": starts[XAVIER]},
    )


def orthogonal(found: Mapping[str, Any]) -> Claim:
    """Orthogonal weights train deepest."""
    starts = {rule: start_of(found, "tanh", rule) or 0 for rule in RULES}
    others = {rule: depth for rule, depth in starts.items() if rule != ORTHOGONAL}
    best = max(others, key=lambda rule: others[rule])
    return Claim(
        "Orthogonal weights train the deepest tanh networks",
        "Saxe et al. 2013",
        f"Training starts to depth {tell_depth(starts[ORTHOGONAL])}; the best of the others is "
        f"{RULES[best]} with {tell_depth(others[best])}.",
        None if starts[ORTHOGONAL] == others[best] else starts[ORTHOGONAL] > others[best],
        "They are level." if starts[ORTHOGONAL] == others[best] else "",
        starts,
    )


def clipping_saves(found: Mapping[str, Any], size: DepthSize) -> Claim:
    """Clipping keeps runs finite."""
    counts = {
        f"{verdict}{clip}": sum(
            _borders.find_end(found[f"training {name}{clip}"], verdict) for name in size.trained
        )
        for verdict in ("nan", "diverged")
        for clip in ("", CLIPPED)
    }
    runs = len(size.trained) * len(RULES) * len(size.sweep.depths) * size.sweep.seeds
    free, clipped = counts["nan"], counts[f"nan{CLIPPED}"]
    return Claim(
        "Clipping, the gradient scaled to a threshold where its norm is above it, keeps training "
        "from NaN",
        f"{DOSHI}; Pascanu et al. 2013",
        f"Runs that meet NaN: {free} of {runs} without, {clipped} with it; that end above twice "
        f"the loss of guessing: {counts['diverged']} and {counts[f'diverged{CLIPPED}']}.",
        None if free == 0 else clipped == 0,
        "No run met NaN without it." if free == 0 else "Holds if none is left.",
        counts,
    )


def clipping_deepens(found: Mapping[str, Any], size: DepthSize) -> Claim:
    """Clipping moves the border."""
    deeper: list[str] = []
    less: list[str] = []
    for activation in size.trained:
        for rule in RULES:
            free, clipped = (start_of(found, activation, rule, clip) or 0 for clip in (False, True))
            name = f"{RULES[rule]} with {activation} ({tell_depth(free)} to {tell_depth(clipped)})"
            if clipped != free:
                (deeper if clipped > free else less).append(name)
    told = [f"{len(some)}{': ' + '; '.join(some) if some else ''}" for some in (deeper, less)]
    return Claim(
        "Clipping lets training start deeper",
        "Pascanu et al. 2013",
        f"Of {len(size.trained) * len(RULES)} pairs of start and activation it is deeper in "
        f"{told[0]}. Less deep in {told[1]}.",
        None if deeper and less else bool(deeper),
        "Both happen." if deeper and less else "",
        {"deeper": len(deeper), "less": len(less)},
    )
