"""What is said of zeros and constants, and what was measured."""

from collections.abc import Mapping
from typing import Any

from fanin.lab.statistics.statistics import ALPHA
from fanin.studies._paired import difference
from fanin.studies._sources import DJURIC, DOSHI
from fanin.studies._study import Claim
from fanin.studies.symmetry._setup import (
    ACTIVATIONS,
    ALIKE,
    NOISES,
    ONE_VALUE,
    OTHERS,
    ZERO,
    SymmetrySize,
    equal,
    percent,
)

WITHIN = 1e-9  # of the largest output or weight: rounding in float64, not a difference
MARGIN = 0.01  # a loss of accuracy below this is no harm
BOOK = "Goodfellow et al. 2016, section 8.4"


def _spread(found: Mapping[str, Any], start: str) -> float:
    """The largest distance between two units of a layer over the training, of the largest weight.

    That of all activations.
    """
    networks = [found[f"{start} {name}"] for name in ACTIVATIONS]
    spreads = [(max(network["spread"]), network["largest_weight"]) for network in networks]
    return max(spread / weight if spread else 0.0 for spread, weight in spreads)


def no_better(found: Mapping[str, Any]) -> Claim:
    """From zeros, equal units, and no better than a linear model."""
    linear, spread = found["linear"]["accuracy"], _spread(found, "zero")
    zeros = {name: found[f"zero {name}"]["accuracy"] for name in ACTIVATIONS}
    told = ", ".join(f"{percent(value)} ({name})" for name, value in zeros.items())
    return Claim(
        "From zero weights all units stay equal, and the network is no better than a linear model",
        DOSHI,
        f"Units of a layer differ by {spread:.1g} of the largest weight, at most, at any step. "
        f"Accuracy on the training images: {told}; a linear model {percent(linear)}.",
        spread <= WITHIN and all(value <= linear for value in zeros.values()),
        f"Below {WITHIN:g} it is rounding.",
        {"linear": linear, **zeros},
    )


def alike(found: Mapping[str, Any]) -> Claim:
    """From one value, equal units."""
    spread = _spread(found, ALIKE)
    told = ", ".join(f"{percent(found[f'{ALIKE} {n}']['accuracy'])} ({n})" for n in ACTIVATIONS)
    return Claim(
        f"One value for all weights, {ONE_VALUE:g} say, gives no variability: all units behave "
        "alike",
        DJURIC,
        f"Units of a layer differ by {spread:.1g} of the largest weight, at most, at any step of "
        f"the training, which ends at an accuracy of {told}.",
        spread <= WITHIN,
        f"Below {WITHIN:g} it is rounding.",
        {"spread": spread},
    )


def nothing_learns(found: Mapping[str, Any]) -> Claim:
    """From zeros, no weight moves."""
    largest = {name: found[f"zero {name}"]["largest_weight"] for name in ("tanh", "relu")}
    told = " and ".join(f"{value:.3g} ({name})" for name, value in largest.items())
    return Claim(
        "From zero weights with tanh or ReLU, nothing but the last biases learns",
        "the chain rule",
        f"The largest weight of any layer after training is {told}.",
        max(largest.values()) == 0,
        figures=largest,
    )


def rank_one(found: Mapping[str, Any]) -> Claim:
    """Equal units stay equal."""
    highest = {
        name: max(max(ranks) for ranks in network["weights"] + network["hidden"])
        for name, network in equal(found).items()
    }
    return Claim(
        "Units that begin alike stay alike: hidden layers keep rank 1 or 0 while they train",
        BOOK,
        f"The highest rank of weights or activations, at any step, is {max(highest.values())}.",
        max(highest.values()) <= 1,
        figures=highest,
    )


def one_unit(found: Mapping[str, Any]) -> Claim:
    """Equal units are one unit."""
    worst = max(
        max(network["difference"]) / max(network["scale"], 1.0) for network in equal(found).values()
    )
    return Claim(
        "Such a network is one of a single unit a layer, with other learning rates",
        "the chain rule; the mapping is under Conditions",
        f"The outputs differ by {worst:.1g} at most, over all steps, of the largest output or of "
        "1, if that is more.",
        worst <= WITHIN,
        f"Below {WITHIN:g} it is rounding.",
        {"difference": worst},
    )


def full_rank(found: Mapping[str, Any], size: SymmetrySize) -> Claim:
    """Random weights have full rank."""
    ranks = found["random"]["hidden"]
    return Claim(
        "Random weights break the symmetry: hidden layers start and stay at full rank",
        BOOK,
        f"From He's start the lowest rank of the second hidden layer, at any step, is "
        f"{min(ranks)} of {size.width}.",
        min(ranks) == size.width,
        figures={"lowest": min(ranks)},
    )


def any_noise(found: Mapping[str, Any]) -> Claim:
    """A little noise is enough."""
    random = found["random"]["accuracy"]
    noisy = {noise: found[f"noise {noise}"]["accuracy"] for noise in NOISES}
    told = ", ".join(f"{percent(value)} ({noise:g})" for noise, value in noisy.items())
    return Claim(
        "A little noise on equal weights is as good as a random start",
        "often said",
        f"Accuracy by noise: {told}; from He's start {percent(random)}.",
        all(value >= random - MARGIN for value in noisy.values()),
        f"Holds if every noise gets within {100 * MARGIN:g} point of it in the same steps.",
        {"random": random, **{f"{noise:g}": value for noise, value in noisy.items()}},
    )


def harmless(found: Mapping[str, Any], other: str) -> Claim:
    """Biases of zero lose no accuracy."""
    zeros, others = found[f"biases {ZERO}"], found[f"biases {other}"]
    gap = difference((ZERO, zeros), (other, others), family=len(OTHERS))
    mean, low, high = 100 * gap.interval.mean, 100 * gap.interval.low, 100 * gap.interval.high
    p = min(1.0, len(OTHERS) * gap.p)
    return Claim(
        f"Zero biases do no harm where weights are random, beside {other}",
        f"{DOSHI}; {BOOK}",
        f"Test accuracy with zeros less that with {other}: {mean:+.2f} points ({low:+.2f} to "
        f"{high:+.2f}) over {len(zeros)} pairs, p = {p:.2g}"
        f"{', zeros are better' if p <= ALPHA and mean > 0 else ''}.",
        True if low > -100 * MARGIN else False if high < -100 * MARGIN else None,
        f"Holds if the whole interval is above {-100 * MARGIN:g} point, refuted if it is below.",
        {"difference": mean / 100, "low": low / 100, "high": high / 100, "p": p},
    )
