"""Remedy: the call to write for a layer, by the activation around it."""

import math

from fanin.axes import Axes
from fanin.errors import FaninError
from fanin.gains import gain
from fanin.initializers import get

RECTIFIERS = ("relu", "relu6", "leaky_relu", "prelu", "rrelu", "clamp_min", "clamp", "threshold")
SIGMOIDS = ("sigmoid", "hardsigmoid")
DATA = "Standardize the data: (x - x.mean()) / x.std(), with the training set's numbers."
STEPS = ("round", "sign", "sgn", "floor", "ceil", "trunc", "heaviside")  # slopes of 0
_NEAR = 0.1  # relative, of a std
_BOUNDED = ("tanh", "softsign", "hardtanh", "sigmoid", "hardsigmoid")


def initializer_for(activation: str) -> str:
    """The initializer of a weight behind this activation, as `fanin.initializers.get` reads it.

    "" stands for no activation. After bounded ones it is the critical scale, which deep networks
    need; their forward gain would let gradients grow.
    """
    word = activation.partition("(")[0].partition(" ")[0]
    if word in RECTIFIERS:
        return "he_normal()"
    if word in _BOUNDED:
        return "glorot_normal()"
    if word == "selu" or not word:
        return "lecun_normal()"
    try:
        return f"lecun_normal(gain={gain(word):.4g})"
    except FaninError:  # a function without a gain
        return "lecun_normal()"


def fits(activation: str, std: float, shape: tuple[int, ...], axes: Axes) -> bool:
    """Whether a weight has the size that its initializer gives it, within a tenth and chance."""
    return same_size(initializer_for(activation), std, shape, axes)


def same_size(word: str, std: float, shape: tuple[int, ...], axes: Axes) -> bool:
    """Whether a weight has the size that an initializer gives it, within a tenth and chance."""
    near = _NEAR + 4 / math.sqrt(2 * max(math.prod(shape), 1))
    return abs(std / get(word).std(shape, axes) - 1) < near


def write(activation: str, fit: bool = False, biased: bool = False) -> str:
    """The advice for the layers of a chain.

    `fit` says that their weights have the right size, `biased` that they have biases which are not
    zero.
    """
    word = initializer_for(activation)
    if not fit:
        zeros = " and zeros() for their biases" if biased else ""
        return (
            f"{word} for these weights{zeros}; or fanin.initialize(model, inputs=x) for the whole "
            "model."
        )
    if activation in SIGMOIDS:
        return "tanh or ReLU in place of sigmoid, with glorot_normal() or he_normal()."
    return (
        f"the weights have the size of {word} already: fewer layers, a normalization between them, "
        "or residual connections."
    )
