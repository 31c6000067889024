"""Graph: what a model does with its parameters, as an adapter saw it run; no framework in it."""

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from fanin._fans import fans
from fanin.axes import Axes
from fanin.errors import FaninError
from fanin.graph._operations import Op, having
from fanin.graph._sets import NodeSet

Values = npt.NDArray[np.float64]


class NoGraphError(FaninError):
    """A model that runs, of which no graph can be made."""


# What an activation passes as it is.
CARRIERS = having("carries")

# What is known of a node beside what its operation does.
Flag = Literal[
    "integers",  # an input, or a view, of numbers that are no activations
    "one hot",  # ones at computed positions, which pick rows of a table
    "part",  # a view of some elements of its input
    "moved",  # a view that puts elements in other places
    "written",  # may have put a constant, or what others made, among an activation's elements
    "difference",  # an addition of the first input and the negative of the second
    "centred",  # a difference of an activation and its mean
    "units",  # a shift that has one element for every unit of the weight before it
    "uncentred",  # a normalization that leaves the mean
    "by deviation",  # one that divides by the standard deviation, the mean left
    "logarithm",  # of a softmax
    "convolution",
]


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """What parameters go through before they act, on float64 arrays.

    `whole` takes the values of all parameters in `of`, the acting one first, by their names; it
    gives what the operation sees, of a weight a matrix (outputs, inputs). `each` is the same
    element by element; None where elements of the result depend on several. Two functions whose
    `same` is equal do the same with parameters of the same shapes; None where that is not known.
    """

    of: tuple[str, ...]
    whole: Callable[[Mapping[str, Values]], Values]
    each: Callable[[Values], Values] | None = None
    same: Hashable | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a parameter: its canonical name, and its axes' roles as this operation uses them.

    `through` names the functions applied to the parameter first, views left out: "exp" for a
    decay rate that is stored as its logarithm, "weight_norm" for a normalized weight. `function`
    is what they do, None where that is nothing, or not known.
    """

    name: str
    axes: Axes
    through: tuple[str, ...] = ()
    fans: tuple[int, int] | None = None  # (in, out) as executed, where whole axes cannot say it
    period: tuple[int, ...] = ()  # sizes of packed matrices that interleave, per head say
    layer: int | None = None  # of what reads the input of a layer in a stack of recurrent ones
    row: int | None = None  # of weights that are stacked along an axis, which of them acts here
    function: Function | None = field(default=None, compare=False, repr=False)

    def fan_in(self, shape: tuple[int, ...]) -> float:
        """How many products an output of this use sums; `shape` is the whole parameter's."""
        whole = replace(self.axes, blocks=())  # packed blocks share their inputs
        terms = fans(shape, whole).fan_in if self.fans is None else self.fans[0]
        return max(terms, 1e-9)


@dataclass(frozen=True, slots=True)
class Window:
    """What every output position of a convolution reads, for each axis of its map.

    `before` is how many zeros are put in front of the first position.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    before: tuple[int, ...]
    dilation: tuple[int, ...]

    def mean(self, values: Values, shape: tuple[int, ...]) -> Values:
        """The means that a map of this shape has of another one's values, zeros around it."""
        for axis, size in enumerate(shape):
            kernel, stride, before, dilation = (
                item[axis] for item in (self.kernel, self.stride, self.before, self.dilation)
            )
            length, reach = values.shape[axis], stride * (size - 1) + 1
            if (kernel, before, reach) == (1, 0, length):
                values = values[(slice(None),) * axis + (slice(None, None, stride),)]
                continue
            whole = max(reach + dilation * (kernel - 1), before + length)
            zeros = np.zeros((*values.shape[:axis], whole, *values.shape[axis + 1 :]))
            line = np.moveaxis(zeros, axis, 0)
            line[before : before + length] = np.moveaxis(values, axis, 0)
            terms = (line[at * dilation :][:reach:stride] for at in range(kernel))
            values = np.moveaxis(np.asarray(sum(terms)) / kernel, 0, axis)
        return values


@dataclass(frozen=True, slots=True)
class Node:
    """One operation; `inputs` are positions of earlier nodes in `Graph.nodes`."""

    op: Op
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    module: str  # dotted path of the innermost module that ran it
    param: Use | None = None
    fn: Callable[..., Values] | None = None  # NumPy float64 arrays to one, the scalars bound
    label: str = ""  # what people call it: "gelu", "layer_norm"; for reading only
    # The plain name of what is computed, without its numbers: "leaky_relu", "sin", "lstm".
    function: str = ""
    flags: frozenset[Flag] = frozenset()
    # How many products a matmul sums; over how many elements a mean, sum, softmax or maximum is.
    count: float | None = None
    # By which attention scales its logits; by which zeros and a divisor change a pool's means.
    factor: float | None = None
    rate: float | None = None  # of dropout
    filled: float | None = None  # of a view: the share of features that are no zeros put beside
    square: float | None = None  # of a buffer: its mean square, None if unknown
    mean: float = 0.0  # of a buffer
    over: Literal["features", "batch"] = "features"  # of a normalization; batch: identity in eval
    uses: tuple[Use, ...] = ()  # of a recurrent module: all its parameters
    # Of what feeds a weight, in a run that guessed values: their mean square.
    typical: Callable[[], float] | None = field(default=None, compare=False)
    # Of a pointwise function with constants that vary along an axis, in place of `fn`: equally
    # likely values of the result for such ones of the input.
    sampled: Callable[[Values], Values] | None = field(default=None, compare=False)
    window: Window | None = None  # of a convolution, and of zeros put around a map

    def __str__(self) -> str:
        names = [f"{item.name} [{item.axes}]" for item in (self.param, *self.uses) if item]
        words = [f"{self.op}{list(self.inputs)}", *names]
        words += [self.label] if self.label not in ("", self.op) else []
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Graph:
    """The operations of one run, in order, and which of them the model returned."""

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    unused: tuple[str, ...] = ()  # parameters that the run never touched
    guessed: tuple[str, ...] = ()  # modules that read values, which were guessed
    # Mean squares by node, as a run with the values that the parameters have now showed them.
    measured: Mapping[int, float] = field(default_factory=dict)
    # Those that came out the same for all inputs of that run, though they depend on them.
    constant: frozenset[int] = frozenset()

    def users(self) -> tuple[tuple[int, ...], ...]:
        """For every node, the nodes that read it."""
        users: list[list[int]] = [[] for _ in self.nodes]
        for position, node in enumerate(self.nodes):
            for source in dict.fromkeys(node.inputs):
                users[source].append(position)
        return tuple(map(tuple, users))

    def where(self, holds: Callable[[Node], bool]) -> NodeSet:
        """The nodes for which this holds."""
        return NodeSet(at for at, node in enumerate(self.nodes) if holds(node))

    def see_through(self, position: int) -> int | None:
        """The node whose elements a view shows; None for anything else.

        Of a slice of a concatenation that is the part of its shape; a concatenation with
        nothing, as with an empty cache, shows what it was given; x + (q - x), by which a
        gradient passes a quantizer, is q.
        """
        node = self.nodes[position]
        if node.op == "add":
            return self._undo(node)
        if node.op == "concat":
            parts = [item for item in node.inputs if 0 not in self.nodes[item].shape]
            return parts[0] if len(parts) == 1 else None
        if node.op != "view" or not node.inputs:
            return None
        source = self.nodes[node.inputs[0]]
        if "part" in node.flags and source.op == "concat":
            parts = [item for item in source.inputs if self.nodes[item].shape == node.shape]
            if len(parts) == 1:
                return parts[0]
        return node.inputs[0]

    def _undo(self, node: Node) -> int | None:
        """q of x + (q - x), and of x - (x - q)."""
        for stream, other in (node.inputs, node.inputs[::-1]):
            difference = self.nodes[other]
            if difference.op != "add" or "difference" not in difference.flags:
                continue
            left, right = difference.inputs
            if "difference" not in node.flags and right == stream:
                return left
            if "difference" in node.flags and (left, stream) == (stream, node.inputs[0]):
                return right
        return None

    def behind(self, position: int, ops: Collection[str] = CARRIERS) -> int:
        """The node that an activation comes from, operations of these kinds left out."""
        while self.nodes[position].op in ops and self.nodes[position].inputs:
            position = self.nodes[position].inputs[0]
        return position

    def __str__(self) -> str:
        """A line for every node: its position, operation, inputs, and what else it says."""
        return "\n".join(f"{position} {node}" for position, node in enumerate(self.nodes))
