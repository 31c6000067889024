"""The critical line: weight variances between order and chaos."""

import math
from collections.abc import Iterator

import numpy as np

from fanin.errors import FaninError
from fanin.gains._activation import Activation, ActivationLike, as_activation
from fanin.gains._moments import second_moment, slope_moment
from fanin.gains._network import WideNetwork, check_variance, normal_of
from fanin.gains._root import root


def critical_weight_variance(f: ActivationLike, bias_variance: float = 0.0) -> float:
    """The weight variance (times fan_in) at which chi1 = 1, between order and chaos.

    Among several the one with the smallest q*; only those count whose fixed point a signal of
    variance 1 comes to. Raises FaninError where there is none, as for relu with a bias.

    Source: Poole et al. 2016, figure 1; Schoenholz et al. 2017, section 3.

    >>> round(critical_weight_variance("relu"), 9)
    2.0
    >>> round(critical_weight_variance("tanh", 0.05), 4)
    1.761
    """
    activation = as_activation(f)
    bias = check_variance(bias_variance, "bias_variance", zero_allowed=True)
    for q in _critical_variances(activation, bias):
        network = WideNetwork(activation, 1 / slope_moment(activation, normal_of(q)), bias)
        course, q_star = network.fixed_point()
        stable = course in ("settles", "is kept", "vanishes")
        if stable and abs(network.chi(q_star) - 1) < 1e-6:
            return network.weight
    raise FaninError(
        f"{activation.name} has no critical weight variance at bias variance {bias:g}: no variance "
        "of pre-activations that a network settles at has chi1 = 1. Try another bias variance."
    )


def _critical_variances(f: Activation, bias: float) -> Iterator[float]:
    """Each q that is a fixed point of the variance map whose weight variance makes chi1 = 1."""

    def gap(q: float) -> float:
        slopes = slope_moment(f, normal_of(q))
        return q - bias - second_moment(f, normal_of(q)) / slopes if slopes else math.nan

    if bias == 0 and not f(np.zeros(1)).any() and slope_moment(f, normal_of(0.0)):
        yield 0.0
    low = at_low = math.nan
    # Below q = bias there is none.
    for q in np.geomspace(min(bias or 1e-8, 1e-8), 1e8, 65).tolist():
        try:
            at_q = gap(q)
        except FaninError:  # f may be too large on so large inputs
            at_q = math.nan
        if at_low < 0 < at_q:
            yield root(gap, low, q)
        low, at_low = q, at_q
