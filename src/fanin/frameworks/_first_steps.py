"""First steps: what a checkup asks of a model and of an optimizer, and what was seen of steps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fanin.frameworks._observation import Observation

OPTIMIZERS: Mapping[str, float] = {"sgd": 0.1, "adam": 1e-3, "adamw": 1e-3}
"""The optimizers that have a name, and the learning rate of each where none is given."""


@dataclass(frozen=True, slots=True)
class RunAsked:
    """A run of a model, forward and backward, and how closely it is looked at.

    Without targets and loss the model's own loss, or a random projection of all outputs, is
    differentiated.
    """

    inputs: object
    targets: object
    loss: Callable[..., object] | None
    seed: int  # of random states
    flat: float  # the share of the largest slope that counts as flat
    same: float  # the relative difference that counts as none


@dataclass(frozen=True, slots=True)
class StepsAsked:
    """`optimizer` is a name of OPTIMIZERS, with its rate, or an object of the framework."""

    optimizer: object
    lr: float | None
    steps: int


@dataclass(frozen=True, slots=True)
class Sharpness:
    """The largest eigenvalue of the loss's Hessian; one lies within `error` of `value`."""

    value: float
    error: float
    highest: float  # the rate beyond which the optimizer is unstable there, 2 / sharpness of SGD


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """Steps on one batch, every one from the same random states.

    `losses` are those before each step, and after the last one; the last of them is not finite, or
    a gradient there is not, where the steps ended early. `moved` has the change of every step by
    parameter, as a norm over that of the first values; none of parameters that start at zero.
    `after` is a close look at the model where the steps ended.
    """

    optimizer: str  # "SGD, lr 0.1"
    lr: float | None  # None where it has several
    losses: tuple[float, ...]
    moved: Mapping[str, tuple[float, ...]]
    after: Observation
    whole: bool = True  # whether all steps were taken
    sharpness: Sharpness | None = None
    notes: tuple[str, ...] = ()
