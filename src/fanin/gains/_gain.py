"""The gain: what a weight's standard deviation is multiplied by because of an activation."""

import math
from functools import lru_cache
from typing import Literal, get_args

from fanin._arguments import check_choice
from fanin.errors import FaninError, as_number, quote
from fanin.gains._activation import Activation, ActivationLike, as_activation
from fanin.gains._moments import NormalInput, second_moment, slope_moment
from fanin.gains._torch_table import torch_gain

Direction = Literal["forward", "backward"]
GainConvention = Literal["fanin", "torch"]


def gain(
    f: ActivationLike,
    direction: Direction = "forward",
    variance: float = 1.0,
    mean: float = 0.0,
    convention: GainConvention = "fanin",
) -> float:
    """The factor g of an activation f for weights of standard deviation g / sqrt(fan).

    forward: g = sqrt(variance / E f(x)**2), x normal with this `mean` and `variance`. Zero-mean
    weights of standard deviation g / sqrt(fan_in) after f give pre-activations of that variance
    again. With the defaults it is 1 / sqrt(E f(z)**2), z standard normal.
    backward: g = 1 / sqrt(E f'(x)**2), with g / sqrt(fan_out): keeps the variance of gradients.

    Only for f(a x) = a f(x), a > 0 (identity, the ReLU family), is g the same for every variance,
    and is forward equal to backward; pass the variance that your pre-activations have.

    Args:
        f: a name ("gelu"), an expression ("leaky_relu(0.2)") or a function of one array, element
            by element, of NumPy, JAX (0.8 or newer) or torch.
        direction: "forward" or "backward".
        variance: of the pre-activation, f's input.
        mean: of the pre-activation.
        convention: "fanin" computes; "torch" gives torch.nn.init.calculate_gain's constant for the
            name, in both directions (tanh 5/3, selu 3/4).

    Returns g. Accuracy: 1e-9 relative; backward of a function of NumPy, whose slopes are not
    known, 1e-6. Raises FaninError for softmax, gated and random activations, and for functions
    that are zero, not finite, or not square integrable.

    Source: He et al. 2015, eq. 9 and 13, with E f(x)**2 in place of the rectifier's 1/2.

    >>> round(gain("gelu"), 6)
    1.53353
    >>> round(gain(lambda x: abs(x) ** 1.5), 6)
    0.791617
    """
    check_choice("direction", direction, get_args(Direction))
    check_choice("convention", convention, get_args(GainConvention))
    law = _law(variance, mean)
    if convention == "torch":
        if law != NormalInput(0.0, 1.0):
            raise FaninError("torch's gains are constants: leave variance and mean as they are.")
        return torch_gain(f)
    if isinstance(f, str):
        return _gain_of_name(f, direction, law)
    return compute_gain(as_activation(f), direction, law)


@lru_cache(maxsize=1024)
def _gain_of_name(f: str, direction: Direction, law: NormalInput) -> float:
    return compute_gain(as_activation(f), direction, law)


def compute_gain(f: Activation, direction: Direction, law: NormalInput) -> float:
    """The gain for a law of pre-activations."""
    forward = direction == "forward"
    moment = second_moment(f, law) if forward else slope_moment(f, law)
    if moment == 0:
        what = f.name if forward else f"the derivative of {f.name}"
        raise FaninError(f"{what} is zero for these inputs, so no {direction} gain keeps a signal.")
    return (law.std if forward else 1.0) / math.sqrt(moment)


def _law(variance: float, mean: float) -> NormalInput:
    values = as_number(variance), as_number(mean)
    if not (math.isfinite(values[0]) and values[0] > 0):
        raise FaninError(f"variance is {quote(variance)}; it must be a finite number > 0.")
    if not math.isfinite(values[1]):
        raise FaninError(f"mean is {quote(mean)}; it must be a finite number.")
    return NormalInput(values[1], math.sqrt(values[0]))
