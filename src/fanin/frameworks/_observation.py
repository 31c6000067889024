"""Observation: what one real run of a model showed, in numbers of Python alone."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from fanin.graph import Node


@dataclass(frozen=True, slots=True)
class Look:
    """`cosine` is the mean over pairs of different inputs; None for a batch of one."""

    mean: float
    cosine: float | None


@dataclass(frozen=True, slots=True)
class Repeat:
    """Rows of a weight that come again, one behind another: `count` times the same `size` rows.

    They begin at row `first`, with the values `start`.
    """

    first: int
    size: int
    count: int
    start: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PackedMatrix:
    """One of the matrices packed in a weight: its rows, how many different ones, and their RMS."""

    units: int
    rows: int
    rms: float


@dataclass(frozen=True, slots=True)
class ParameterStats:
    """A parameter's values. `low` and `high` are the extremes of the first 65536.

    `units` is the number of rows, one per output, `rows` that of different ones, and `alike` the
    largest groups of equal ones; None for what has no rows. `start` holds the first values.
    """

    shape: tuple[int, ...]
    mean: float
    rms: float
    low: float
    high: float
    kurtosis: float  # fourth moment over the squared second one: 3 of a normal, 1.8 of a uniform
    start: tuple[float, ...]
    orthogonal: bool
    units: int | None = None
    rows: int | None = None
    alike: tuple[tuple[int, ...], ...] = ()
    repeats: tuple[Repeat, ...] = ()
    blocks: tuple[PackedMatrix, ...] = ()  # of a weight in which matrices are packed
    odd: tuple[float, ...] = ()  # some that no initializer draws: what memory held before

    @property
    def finite(self) -> bool:
        """Whether every value is finite."""
        return math.isfinite(self.rms)

    @property
    def std(self) -> float:
        """The standard deviation of all values."""
        return math.sqrt(max(self.rms**2 - self.mean**2, 0.0))


@dataclass(frozen=True, slots=True)
class GradientStats:
    """The gradient of a weight: its norm, how many different rows, and with those of the weight.

    `blocks` has the same of each matrix that is packed in it.
    """

    norm: float
    rows: int | None = None
    pairs: int | None = None
    blocks: tuple["GradientStats", ...] = ()


@dataclass(frozen=True, slots=True)
class Gate:
    """One of the matrices of a recurrent layer: a gate, or the one that makes what is taken up.

    The gates of an LSTM are "input", "forget" and "output", of a GRU "reset" and "update".
    """

    name: str  # "" of what is taken up
    inputs_rms: float  # of the weights
    state_rms: float
    opened: float | None  # the mean of a gate, between 0 and 1


@dataclass(frozen=True, slots=True)
class Gates:
    """One layer of a recurrent module in one direction, or a call of a cell.

    The tanh that makes what the state takes up is given the sum of three parts, of these RMS:
    `from_inputs`, `from_state` and `from_bias`; at a share `flat` of its values it is flat.
    `growth` is the gradient of the last state with respect to the first input over that with
    respect to the last one.
    """

    inputs: str  # the name of the weight that reads them, in its module: "weight_ih_l0"
    state: str  # "weight_hh_l0"
    read: int  # features that the layer reads
    kept: int  # features of the state that comes back
    hidden: int
    parts: tuple[Gate, ...]
    from_inputs: float
    from_state: float
    from_bias: float
    flat: float | None  # None of a ReLU
    growth: float | None  # None of one step, or where none of the last one comes back


@dataclass(frozen=True, slots=True)
class Outside:
    """A tensor that requires gradients and is no parameter; `name` is "" where it was not found."""

    name: str
    shape: tuple[int, ...]
    module: str  # that used it
    container: str = ""  # of the attribute: "list", "dict", "Linear"


@dataclass(frozen=True, slots=True)
class TargetStats:
    """The size of a tensor's values."""

    shape: tuple[int, ...]
    mean: float
    rms: float

    @property
    def std(self) -> float:
        """The standard deviation."""
        return math.sqrt(max(self.rms**2 - self.mean**2, 0.0))


@dataclass(frozen=True, slots=True)
class TargetsMet:
    """An output that a loss subtracts from targets, number by number."""

    node: int
    output: tuple[int, ...]
    targets: tuple[int, ...]
    difference: tuple[int, ...]
    negative: float  # the shares of targets below 0, above 1, and beyond 1 in size
    above: float
    beyond: float


@dataclass(frozen=True, slots=True)
class Observation:
    """The operations of one real run, in order.

    `rms` is the root mean square of each node's output, `gradients` the norm of the loss's
    gradient with respect to it; None where the output is no real tensor, only shows others'
    values, has no gradient, or is of a kind whose gradient is not looked at. A closer look adds
    `looks` at what layers and inputs give, the shares of `silent` units and of values where a
    function is `flat`, by node, the `values` of all parameters and the `weight_gradients`, by name.
    """

    nodes: tuple[Node, ...]
    rms: tuple[float | None, ...]
    gradients: tuple[float | None, ...]
    output: object
    loss: float | None = None
    looks: Mapping[int, Look] = field(default_factory=dict)
    silent: Mapping[int, float] = field(default_factory=dict)
    flat: Mapping[int, float] = field(default_factory=dict)
    values: Mapping[str, ParameterStats] = field(default_factory=dict)
    weight_gradients: Mapping[str, GradientStats] = field(default_factory=dict)
    outputs: tuple[int, ...] = ()  # the nodes that the model returned
    derived: frozenset[int] = frozenset()  # those of a derivative that the model itself takes
    frozen: frozenset[str] = frozenset()
    outside: tuple[Outside, ...] = ()  # what requires gradients and is no parameter
    spreads: Mapping[int, float] = field(default_factory=dict)  # of logits, by their softmax
    asked: Mapping[str, int] = field(default_factory=dict)  # by the loss: operation, its node
    compared: TargetsMet | None = None  # by the loss, with targets
    gates: Mapping[int, tuple[Gates, ...]] = field(default_factory=dict)  # of recurrent modules
    constant: frozenset[int] = (
        frozenset()
    )  # nodes that give all inputs the same, without a closer look
    loss_name: str = ""  # "cross-entropy", "mean squared error", "random projection", ...
    classes: int | None = None  # that a cross-entropy tells apart
    targets: TargetStats | None = None  # of real ones that have the output's shape
