"""Mean-field theory of deep networks: where variances and correlations go, layer by layer.

Poole et al. 2016 and Schoenholz et al. 2017 follow the pre-activations of a wide fully connected
network with weights of variance weight_variance / fan_in and biases of variance bias_variance:

    variance map      V(q) = weight_variance E f(sqrt(q) z)**2 + bias_variance
    correlation map   C(c) = (weight_variance E f(u) f(v) + bias_variance) / q*
    chi1              = C'(1) = weight_variance E f'(sqrt(q*) z)**2

with u, v normal of variance q* and correlation c. A gradient's squared norm grows by chi1 a layer.
"""

import math
from dataclasses import dataclass, field

from fanin.errors import FaninError, as_number, quote
from fanin.gains._activation import ActivationLike, as_activation
from fanin.gains._network import SAME, Variance, WideNetwork, check_variance


@dataclass(frozen=True)
class DepthTheory:
    """What `depth_theory` found. Variances are of pre-activations.

    variance: what the variance does with depth, starting from 1: it "settles" at q_star; it "is
    kept" whatever it is (q_star 1), or only at 1, where it "is unstable"; it "vanishes" (0) or
    "grows without bound" (inf).
    q_star: fixed point of the variance map. chi_q: its slope there. xi_q = -1 / log(chi_q): depth
    in which a deviation of the variance falls by e.
    chi1: growth of a gradient's squared norm in a layer, and slope of the correlation map at 1
    (infinite, whatever chi1, where f jumps); below 1 the network is ordered (gradients vanish),
    above chaotic (they explode). c_star: correlation that two inputs tend to.
    xi_c = -1 / log(slope at c_star): depth in which a deviation from it falls by e, infinite on
    the critical line. Signals pass through about 6 xi_c layers (Schoenholz et al. 2017, section 5).

    NaN is what does not exist: all but q_star where the variance grows without bound; c_star where
    it vanishes (xi_c is then -1 / log(chi1), of the covariance); xi_q at an unstable variance.
    """

    activation: str
    weight_variance: float
    bias_variance: float
    variance: Variance
    q_star: float
    chi_q: float
    xi_q: float
    chi1: float
    c_star: float
    xi_c: float
    _network: WideNetwork = field(repr=False, compare=False)

    def variance_map(self, q: float) -> float:
        """V(q): the variance after a layer, from the variance q >= 0 before it."""
        number = as_number(q)
        if not (math.isfinite(number) and number >= 0):
            raise FaninError(f"variance q is {quote(q)}; it must be a finite number >= 0.")
        return self._network.variance(number)

    def correlation_map(self, c: float) -> float:
        """C(c): the correlation after a layer, from the correlation c, -1 to 1, before it."""
        number = as_number(c)
        if not -1 <= number <= 1:
            raise FaninError(f"correlation is {quote(c)}; it must be a number from -1 to 1.")
        if not 0 < self.q_star < math.inf:
            raise FaninError(
                f"the variance of {self.activation} {self.variance} at weight variance "
                f"{self.weight_variance:g} and bias variance {self.bias_variance:g}: "
                "there is no fixed point to map correlations at."
            )
        return self._network.correlation(number, self.q_star)


def depth_theory(
    f: ActivationLike, weight_variance: float, bias_variance: float = 0.0
) -> DepthTheory:
    """What mean-field theory says about a deep network of the activation f.

    The fixed point is sought from variance 1, upwards or downwards in steps of 2, so it is the
    one that a signal of variance 1 comes to.

    Args:
        f: as for `fanin.gain`: a name, an expression or a function of one array.
        weight_variance: fan_in times the variance of a weight: the square of a gain.
        bias_variance: the variance of a bias.

    Returns a DepthTheory. Raises FaninError for variances out of range and for functions that
    have no gain.

    Source: Poole et al. 2016, eq. 3 and 5; Schoenholz et al. 2017, eq. 4, 5 and 9.

    >>> theory = depth_theory("tanh", weight_variance=1.5, bias_variance=0.05)
    >>> round(theory.chi1, 3), round(theory.xi_c, 1)
    (0.939, 15.8)
    """
    activation = as_activation(f)
    network = WideNetwork(
        activation,
        check_variance(weight_variance, "weight_variance", zero_allowed=False),
        check_variance(bias_variance, "bias_variance", zero_allowed=True),
    )
    course, q_star = network.fixed_point()
    chi_q = chi1 = c_star = slope = math.nan
    if course != "grows without bound":
        chi_q = chi1 = slope = network.chi(q_star)  # all one at variance 0, where f is linear
        if q_star:
            chi_q = network.variance_slope(q_star)
            c_star, slope = network.resting(q_star, chi1)
    return DepthTheory(
        activation.name,
        network.weight,
        network.bias,
        course,
        q_star,
        chi_q,
        _depth_scale(chi_q),
        chi1,
        c_star,
        _depth_scale(slope),
        network,
    )


def _depth_scale(slope: float) -> float:
    """-1 / log(slope), infinite at 1 and NaN above it, where nothing comes to rest."""
    if abs(slope - 1) <= SAME:
        return math.inf
    if not abs(slope) < 1:
        return math.nan
    return -1 / math.log(abs(slope)) if slope else 0.0
