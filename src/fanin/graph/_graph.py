"""Graph: what a model does with its parameters, as an adapter saw it run; no framework in it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from fanin._fans import fans
from fanin.axes import Axes
from fanin.errors import FaninError

Values = npt.NDArray[np.float64]

# What a node does. Everything that only moves, selects or copies elements is a "view".
Op = Literal[
    "input",  # from outside the model; no inputs
    "buffer",  # a constant of the model; `amount` is its mean square, None if unknown
    "parameter",  # a parameter on its own, such as a class token before it is concatenated
    "linear",  # activations times a weight: dense, convolution, einsum, one per expert or group
    "lookup",  # rows of a table by integers
    "scale",  # activations times a parameter, element by element
    "shift",  # activations plus a parameter: a bias, a position table
    "matmul",  # two activations multiplied as matrices; `amount` is the number of terms summed
    "attention",  # fused: inputs q, k, v; `amount` is the factor that the logits are scaled by
    "softmax",
    "pointwise",  # `fn` of the inputs, element by element
    "add",  # two activations
    "mul",  # two activations
    "normalize",  # `over` says what; a norm's own scale and shift follow as nodes of their own
    "mean",  # over positions; `amount` is how many
    "pool",  # average over a window of `amount` positions
    "max",  # the largest of `amount`
    "sum",  # of `amount` elements
    "concat",
    "view",  # `amount` is the share of elements that are no zeros put beside the features
    "dropout",  # `amount` is the rate
    "recurrent",  # a whole recurrent module; output bounded by its gates
]


# The label of a shift that has one element for every unit of the weight before it.
UNITS = "units"


class NoGraphError(FaninError):
    """A model that runs, of which no graph can be made."""


# What an activation passes as it is.
CARRIERS: tuple[Op, ...] = ("view", "dropout")

# Labels of nodes that may put a constant, or what others made, among an activation's elements.
WRITTEN: tuple[str, ...] = ("mask", "write", "where", "masked_fill", "constant_pad_nd")


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """What parameters go through before they act, on float64 arrays.

    `whole` takes the values of all parameters in `of`, the acting one first, by their names; it
    gives what the operation sees, of a weight a matrix (outputs, inputs). `each` is the same
    element by element; None where elements of the result depend on several.
    """

    of: tuple[str, ...]
    whole: Callable[[Mapping[str, Values]], Values]
    each: Callable[[Values], Values] | None = None


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
            kernel, stride, dilation = (
                one[axis] for one in (self.kernel, self.stride, self.dilation)
            )
            line = np.moveaxis(values, axis, -1)
            reach = stride * (size - 1) + 1
            before = self.before[axis]
            behind = max(reach + dilation * (kernel - 1) - before - line.shape[-1], 0)
            line = np.pad(line, [(0, 0)] * (line.ndim - 1) + [(before, behind)])
            terms = (line[..., at * dilation :][..., :reach:stride] for at in range(kernel))
            values = np.moveaxis(np.asarray(sum(terms)) / kernel, -1, axis)
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
    label: str = ""  # what people call it: "gelu", "layer_norm"
    amount: float | None = None
    over: Literal["features", "batch"] = "features"  # of a normalization; batch: identity in eval
    uses: tuple[Use, ...] = ()  # of a recurrent module: all its parameters
    mean: float = 0.0  # of a buffer
    # Of what feeds a weight, in a run that guessed values: their mean square.
    typical: Callable[[], float] | None = field(default=None, compare=False)
    # Of a pointwise function with constants that vary along an axis, in place of `fn`: equally
    # likely values of the result for such ones of the input.
    sampled: Callable[[Values], Values] | None = field(default=None, compare=False)
    window: Window | None = None  # of a convolution, and of zeros put around a map

    def __str__(self) -> str:
        names = [f"{one.name} [{one.axes}]" for one in (self.param, *self.uses) if one]
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

    def users(self) -> tuple[tuple[int, ...], ...]:
        """For every node, the nodes that read it."""
        users: list[list[int]] = [[] for _ in self.nodes]
        for position, node in enumerate(self.nodes):
            for source in dict.fromkeys(node.inputs):
                users[source].append(position)
        return tuple(map(tuple, users))

    def shown(self, position: int) -> int | None:
        """The node whose elements a view shows; None for anything else.

        Of a slice of a concatenation that is the part of its shape; a concatenation with
        nothing, as with an empty cache, shows what it was given; x + (q - x), by which a
        gradient passes a quantizer, is q.
        """
        node = self.nodes[position]
        if node.op == "add":
            return self._restored(node)
        if node.op == "concat":
            parts = [one for one in node.inputs if 0 not in self.nodes[one].shape]
            return parts[0] if len(parts) == 1 else None
        if node.op != "view" or not node.inputs:
            return None
        source = self.nodes[node.inputs[0]]
        if node.label in ("slice", "select") and source.op == "concat":
            parts = [one for one in source.inputs if self.nodes[one].shape == node.shape]
            if len(parts) == 1:
                return parts[0]
        return node.inputs[0]

    def _restored(self, node: Node) -> int | None:
        """q of x + (q - x), and of x - (x - q)."""
        for stream, other in (node.inputs, node.inputs[::-1]):
            difference = self.nodes[other]
            if difference.op != "add" or difference.label != "sub":
                continue
            left, right = difference.inputs
            if node.label != "sub" and right == stream:
                return left
            if node.label == "sub" and (left, stream) == (stream, node.inputs[0]):
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
