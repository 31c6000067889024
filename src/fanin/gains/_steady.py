"""Steady starts: variances that keep the gradients of a deep network, and its signal too."""

import math
from typing import NamedTuple

import numpy as np

from fanin.errors import FaninError
from fanin.gains._activation import Activation, ActivationLike, as_activation
from fanin.gains._moments import second_moment, second_moment_growth, slope_moment
from fanin.gains._network import SAME, normal_of
from fanin.gains._root import root

# What a layer leaves of a gradient's squared norm, and of a deviation of the variance. So 50 layers
# of width 256 hold; with 1 for both, where chance adds up, the least of 20 draws was 0.15 of it.
_CHI1, _CHI_Q = 0.99, 0.98


class SteadyStart(NamedTuple):
    """Variances of pre-activations, of weights (times fan_in) and of biases."""

    variance: float
    weight_variance: float
    bias_variance: float


def steady_start(f: ActivationLike) -> SteadyStart:
    """The least variance of 1 or more at which a deep network of `f` keeps gradient and signal.

    Gradients keep their size where chi1 = weight_variance E f'(x)**2 is 1, on the critical line of
    Schoenholz et al. 2017; here it is 0.99, and biases make up what the variance then lacks. The
    signal keeps its own where chi_q, the slope of the variance map, is below 1: every layer of
    finite width is off by chance, and depth multiplies what it is off by chi_q a layer; here that
    is 0.98 at most. At variance 1 without biases it is 1.17 for SiLU, 1.14 for GELU and 1.08 for
    Mish, and fifty layers of SiLU multiply it by 3000.

    Args:
        f: an activation, by name, expression or as a function.

    Returns variances, not standard deviations. Raises FaninError where there is none up to 1e4.

    Source: Hayou et al. 2019, "On the impact of the activation function on deep neural networks
    training", section 3: the edge of chaos of smooth activations has biases.

    >>> from fanin.gains import steady_start
    >>> start = steady_start("gelu")
    >>> [round(variance, 3) for variance in start]
    [5.133, 1.946, 0.267]
    """
    activation = as_activation(f)
    before = 1.0
    if _slope(activation, before) <= _CHI_Q:
        return _at(activation, before)
    for variance in np.geomspace(1.0, 1e4, 33)[1:].tolist():
        if _slope(activation, variance) <= _CHI_Q:
            least = root(lambda q: _slope(activation, q) - _CHI_Q, before, variance)
            return _at(activation, least)
        before = variance
    raise FaninError(
        f"{activation.name} has no steady start: wherever gradients keep their size, the variance "
        "of pre-activations does not come back. Normalize between the layers."
    )


def _slope(f: Activation, variance: float) -> float:
    """chi_q of the network that rests at this variance."""
    law = normal_of(variance)
    slopes = slope_moment(f, law)
    return _CHI1 * second_moment_growth(f, law) / slopes if slopes else math.inf


def _at(f: Activation, variance: float) -> SteadyStart:
    law = normal_of(variance)
    weight = _CHI1 / slope_moment(f, law)
    bias = variance - weight * second_moment(f, law)
    if bias < -SAME * variance:
        raise FaninError(
            f"{f.name} has no steady start at variance {variance:.4g}: its signal outgrows its "
            "gradients. Take gain() of it."
        )
    return SteadyStart(variance, weight, max(bias, 0.0))
