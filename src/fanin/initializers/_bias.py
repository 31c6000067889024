"""Initializers of biases: torch's rule, and what a model should predict before training."""

import math
from collections.abc import Sequence

from fanin.errors import FaninError, as_number, quote
from fanin.initializers._base import Initializer
from fanin.initializers._constant import constant
from fanin.initializers._entry import Entry
from fanin.initializers._random import uniform
from fanin.streams._elementary import log_of


def torch_bias(fan_in: int) -> Initializer:
    """torch's default for the bias of a linear layer or convolution.

    Formula: b ~ U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)); it is that uniform.
    Reads: no axes: `fan_in` is the weight's, which a bias does not show. Preserves: nothing; it
    adds a variance of 1 / (3 fan_in) to every unit.
    Units: std = 1 / sqrt(3 fan_in).
    Source: torch.nn.Linear.reset_parameters; LeCun et al. 1998, section 4.6, for the scale.
    Differs: Keras and Flax take zeros.

    >>> torch_bias(100)
    uniform(-0.1, 0.1)
    """
    number = as_number(fan_in)
    if not (math.isfinite(number) and number >= 1):
        raise FaninError(f"fan_in of torch_bias is {quote(fan_in)}; it must be a number >= 1.")
    return uniform(-1.0 / math.sqrt(number), 1.0 / math.sqrt(number))


def prior_probability(p: float = 0.01) -> Initializer:
    """The bias of a sigmoid whose class is rare: it predicts `p` before training.

    Formula: b = -log((1 - p) / p); it is that constant.
    Reads: no axes. Preserves: the loss of the first steps from a flood of easy negatives.
    Units: `p` is a probability, the bias a logit. The std is 0.
    Source: Lin et al. 2017 (RetinaNet), section 4.1, with p = 0.01.
    Differs: torch, JAX and Keras have none; their detectors write the formula out.

    >>> prior_probability(0.01)
    constant(-4.595119850134591)
    """
    number = as_number(p)
    if not 0 < number < 1:
        raise FaninError(
            f"p of prior_probability is {quote(p)}; a probability lies between 0 and 1."
        )
    return constant(log_of(number) - log_of(1.0 - number))


def class_priors(p: Sequence[float]) -> Initializer:
    """The biases of a softmax that predicts the classes' frequencies before training.

    Formula: b_i = log p_i; it is that constant array, for a bias of as many elements.
    Reads: no axes. Preserves: the first loss at the entropy of the classes.
    Units: probabilities or counts, all > 0; they are divided by their sum.
    Source: Karpathy 2019, 'A recipe for training neural networks', "init well".
    Differs: torch, JAX and Keras have none.

    >>> class_priors((0.5, 0.25, 0.25))
    constant([-0.6931471805599453, -1.3862943611198906, -1.3862943611198906])
    """
    numbers = [as_number(prior) for prior in p] if isinstance(p, Sequence) else []
    if not numbers or not all(math.isfinite(number) and number > 0 for number in numbers):
        raise FaninError(f"p of class_priors is {quote(p)}; give probabilities or counts, all > 0.")
    total = math.fsum(numbers)
    return constant([log_of(number / total) for number in numbers])


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "torch_bias",
        torch_bias,
        "none: fan_in is an argument",
        "nothing",
        "torch.nn.Linear.reset_parameters",
        "torch_bias(256)",
        (60_000,),
        "U(+-1 / sqrt(fan_in))",
    ),
    Entry(
        "prior_probability",
        prior_probability,
        "none",
        "the first loss, where a class is rare",
        "Lin et al. 2017, section 4.1",
        "prior_probability(0.01)",
        (60,),
        "-log((1 - p) / p)",
    ),
    Entry(
        "class_priors",
        class_priors,
        "none",
        "the first loss at the entropy of the classes",
        "Karpathy 2019, 'A recipe for training neural networks'",
        "class_priors((0.5, 0.3, 0.2))",
        (3,),
        "log p_i",
    ),
)
