"""Recorder: the nodes seen so far, and what is known of them."""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fanin.frameworks.recording import _formula
from fanin.frameworks.recording._flags import flags_of
from fanin.frameworks.recording._views import Atom, Dims, dims_of
from fanin.frameworks.recording._weights import ParameterTensor, Part, plain_use, use
from fanin.graph import Node, Op, Use, Values, Window


@dataclass(frozen=True, slots=True)
class Noise:
    """Random values: "bernoulli" (kept with 1 - rate), "uniform" and "normal".

    The last two are times `scale`, and raised by `rate` then.
    """

    kind: str
    rate: float
    divided: bool = False  # by the share that is kept
    scale: float = 1.0

    @property
    def square(self) -> float:
        """The mean square that is to be expected."""
        kept = 1 - self.rate
        moments = {
            "bernoulli": 1 / kept if self.divided and kept else kept,
            "uniform": self.rate**2 + self.scale * self.rate + self.scale**2 / 3,
            "normal": self.rate**2 + self.scale**2,
        }
        return moments[self.kind]


@dataclass(frozen=True, slots=True)
class ConstantTensor:
    """A tensor that depends on neither inputs nor parameters; its values where they are known."""

    value: Any = None
    noise: Noise | None = None
    name: str = "constant"


@dataclass(frozen=True, slots=True)
class ActivationTensor:
    """A tensor that a node made; `value` of integers and masks that follow from given ones."""

    node: int
    value: Any = field(default=None, compare=False)  # tensors compare by elements


TensorEntry = ConstantTensor | ParameterTensor | ActivationTensor


@dataclass(frozen=True, slots=True)
class Statistic:
    """A tensor that is factor * (mean of `what` over elements of a node)**power.

    `what` is "square", "variance" or "mean".
    """

    what: str
    source: int
    power: float = 1.0
    factor: float = 1.0
    positions: bool = False  # over positions or samples, of every feature on its own
    norm: str = ""  # what people call a normalization by it; "": of a row's features


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the features that a linear node made are in a tensor: axis `features` of dims."""

    linear: int
    features: int
    dims: Dims
    units: int  # how many features there are
    stacked: int = 0  # the first axes, which count matrices side by side: experts


@dataclass(frozen=True, slots=True)
class Piece:
    """Some features of a linear node, cut out: `size` from `start` in every `period`."""

    node: int
    period: int
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class ActivationFormula:
    """A tensor as a function of the nodes `sources`, element by element."""

    sources: tuple[int, ...]
    fn: Callable[..., Values]


@dataclass(frozen=True, slots=True)
class Joint:
    """What made a tensor of the node `leaf` and of known constants, element by element."""

    leaf: int
    formula: _formula.ParameterFormula
    shape: tuple[int, ...]  # of the leaf
    varies: bool = False  # whether a constant in it differs from element to element
    curved: bool = False  # whether it is more than a line in the leaf
    mask: bool = False  # whether it is a tensor of truth values
    length: int = 0  # operations, one behind the other


@dataclass(frozen=True, slots=True)
class Term:
    """A matrix: the product of parameters, the one that an input meets first in front."""

    factors: tuple[Part, ...]
    number: float = 1.0


class Recorder:
    """Collects nodes, and what is known of each."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.path: list[str] = [""]
        self.frozen: dict[str, Any] = {}  # values of small frozen parameters
        self.touched: set[str] = set()
        self.shapes: dict[str, tuple[int, ...]] = {}  # of parameters, as stored
        self.statistics: dict[int, Statistic] = {}
        self.squares: dict[int, int] = {}  # node of x**2 -> node of x
        self.centred: dict[int, int] = {}  # node of x - mean(x) -> node of x
        self.multiples: dict[int, tuple[int, float]] = {}  # node of k x -> node of x, k
        self.integers: set[int] = set()  # nodes made of integers and masks alone
        self.masks: dict[
            int, ActivationFormula
        ] = {}  # nodes made of comparisons of activations alone
        self.removing: set[int] = set()  # masks that hold numbers far below zero
        self.joints: dict[int, Joint] = {}  # nodes made of one activation and of known constants
        self.factors: dict[
            int, tuple[ActivationTensor, ParameterTensor]
        ] = {}  # node of x * w -> x and w
        self.parametric: set[int] = set()  # nodes that depend on no input
        self.made: dict[Hashable, list[TensorEntry]] = {}  # what an operation made of its arguments
        self.twins: dict[int, int] = {}  # node -> the first node that has the same values
        self.matrices: dict[int, tuple[Term, ...]] = {}  # node of a sum of products of parameters
        self.stacks: dict[
            int, tuple[int, list[ActivationTensor]]
        ] = {}  # node -> new dimension, parts
        self.layouts: dict[int, Layout] = {}
        self.pieces: dict[int, list[Piece]] = {}

    def emit(
        self,
        op: Op,
        inputs: Sequence[ActivationTensor],
        shape: Sequence[int],
        *,
        param: Use | None = None,
        fn: Callable[..., Values] | None = None,
        label: str = "",
        count: float | None = None,
        factor: float | None = None,
        rate: float | None = None,
        square: float | None = None,
        over_batch: bool = False,
        uses: tuple[Use, ...] = (),
        mean: float = 0.0,
        window: Window | None = None,
    ) -> ActivationTensor:
        """A new node."""
        self.touched.update(item.name for item in (*uses, *([param] if param else [])))
        node = Node(
            op=op,
            inputs=tuple(source.node for source in inputs),
            shape=tuple(int(size) for size in shape),
            module=self.path[-1],
            param=param,
            fn=fn,
            label=label,
            function=label.partition(" ")[0],
            flags=flags_of(op, label),
            count=count,
            factor=factor,
            rate=rate,
            square=square,
            over="batch" if over_batch else "features",
            uses=uses,
            mean=mean,
            window=window,
        )
        self.nodes.append(node)
        position = len(self.nodes) - 1
        if op not in ("input", "lookup") and self.parametric.issuperset(node.inputs):
            self.parametric.add(position)
        return ActivationTensor(position)

    def buffer(self, constant: ConstantTensor, shape: Sequence[int]) -> ActivationTensor:
        """A constant as a node of its own."""
        mean, square = self.moments(constant)
        return self.emit("buffer", (), shape, label=constant.name, square=square, mean=mean)

    def moments(self, constant: ConstantTensor) -> tuple[float, float | None]:
        """The mean of a constant's values, 0 if unknown, and their mean square, None if unknown.

        Of noise what is expected.
        """
        noise, value = constant.noise, constant.value
        if noise is not None:
            return 0.0, noise.square
        return (0.0, None) if value is None else self.moments_of(value)

    def moments_of(self, value: Any) -> tuple[float, float | None]:
        """The same of known values."""
        if value.size == 0:
            return 0.0, None
        wide = np.asarray(value)
        wide = wide.astype(np.complex128 if np.iscomplexobj(wide) else np.float64)
        mean = 0.0 if np.iscomplexobj(wide) else float(wide.mean())
        return mean, float((np.abs(wide) ** 2).mean())

    def parameter(self, weight: ParameterTensor, shape: Sequence[int]) -> ActivationTensor:
        """A tensor made of parameters as a node of its own."""
        made = [
            self.scale(self.emit("parameter", (), shape, param=plain_use(part)), part)
            for part in weight.parts
        ]
        return made[0] if len(made) == 1 else self.emit("concat", made, shape, label="cat")

    def scale(self, value: ActivationTensor, part: Part) -> ActivationTensor:
        """An activation after the parameters that were multiplied into a weight."""
        for scale in part.scales:
            shape = self.nodes[value.node].shape
            made = self.emit("scale", [value], shape, param=plain_use(scale))
            value = self.scale(self.follow(value, made), scale)
        return value

    def times(
        self, value: ActivationTensor, factor: float, shape: Sequence[int] | None = None
    ) -> ActivationTensor:
        """An activation times a number; of another shape where one is given."""
        return self.emit(
            "pointwise",
            [value],
            self.nodes[value.node].shape if shape is None else shape,
            fn=lambda x: x * factor,
            label=f"mul {factor:.6g}",
        )

    def add_elementwise(
        self,
        op: Op,
        value: ActivationTensor,
        weight: ParameterTensor,
        shape: Sequence[int],
        label: str = "",
    ) -> ActivationTensor:
        """A scale or a shift by a weight's parameters, one node for each."""
        if op == "shift" and not label and self._covers_units(value, weight, len(shape)):
            label = "units"
        for part in weight.parts:
            made = self.emit(op, [value], shape, param=plain_use(part), label=label)
            value = self.scale(self.follow(value, made), part)
        return value

    def _covers_units(self, value: ActivationTensor, weight: ParameterTensor, rank: int) -> bool:
        """Whether a parameter has one element for every feature that a linear node made.

        It may have one for every feature of every matrix, where several lie side by side.
        """
        layout, dims = self.layouts.get(value.node), weight.parts[0].dims
        if layout is None or dims is None or len(layout.dims) != rank or len(dims) > rank:
            return False
        units = 1
        for mine, theirs in zip(layout.dims[rank - len(dims) :], dims, strict=True):
            own = math.prod(atom.size for atom in theirs if atom.axis is not None)
            if own == 1 or all(atom.axis in range(layout.stacked) for atom in mine):
                continue
            if any(atom.axis != layout.features for atom in mine):
                return False
            units *= own
        return len(weight.parts) == 1 and units == layout.units

    def linear(
        self,
        value: ActivationTensor,
        weight: ParameterTensor,
        roles: Sequence[str],
        shape: Sequence[int],
        *,
        features: int,
        spread: int = 1,
        fans: tuple[int, int],
        label: str = "",
        window: Window | None = None,
        **how: Any,
    ) -> ActivationTensor:
        """An activation times a weight; concatenated weights make concatenated nodes.

        The features are in `spread` dimensions of the result, from `features` on.
        """
        made, whole = [], shape
        for part in weight.parts:
            own_use = use(part, roles, fans, **how)
            if len(weight.parts) > 1 and part.dims is not None:
                own = part.dims[roles.index("out")]
                shape = [*shape]
                shape[features] = math.prod(atom.size for atom in own)
            node = self.emit("linear", [value], shape, param=own_use, label=label, window=window)
            stacked = roles.count("stack") if features > roles.count("stack") else 0
            layout = _layout(node.node, features, spread, shape)
            self.layouts[node.node] = replace(layout, stacked=stacked)
            made.append(self.scale(node, part))
        if len(made) == 1:
            return made[0]
        return self.emit("concat", made, whole, label="cat")

    def twin(self, node: int) -> int:
        """The first node that was computed in the same way from the same values."""
        return self.twins.get(node, node)

    def origin(self, node: int) -> int:
        """The first node with the same values, of which a statistic is the same."""
        return self.twin(node)

    def note_twins(self, key: Hashable, made: list["TensorEntry"]) -> None:
        """Notes what an operation made of its arguments, and that it made it before."""
        if key is None:
            return
        for new, old in zip(made, self.made.setdefault(key, made), strict=True):
            if (
                isinstance(new, ActivationTensor)
                and isinstance(old, ActivationTensor)
                and new != old
            ):
                self.twins[new.node] = self.twin(old.node)

    def follow(self, before: ActivationTensor, after: ActivationTensor) -> ActivationTensor:
        """`after` has its features where `before` has them."""
        if before.node in self.layouts:
            self.layouts[after.node] = self.layouts[before.node]
        return after

    def is_real(self, entry: "TensorEntry") -> bool:
        """Whether it is an activation of real numbers, or a parameter."""
        activation = isinstance(entry, ActivationTensor) and entry.node not in self.integers
        return activation or isinstance(entry, ParameterTensor)

    def cut(
        self,
        source: ActivationTensor,
        made: ActivationTensor,
        dim: int,
        start: int,
        size: int,
        step: int = 1,
    ) -> None:
        """Notes that `made` is a part of one dimension of `source`."""
        layout = self.layouts.get(source.node)
        if layout is None or len(layout.dims[dim]) != 1:
            return
        atom = layout.dims[dim][0]
        if atom.axis == layout.features and size < atom.size:
            count, unit = (atom.size, size) if step == 1 else (step, 1)
            piece = Piece(made.node, atom.stride * count, start * atom.stride, unit * atom.stride)
            self.pieces.setdefault(layout.linear, []).append(piece)

    def replace_node(self, position: int, **changes: Any) -> None:
        self.nodes[position] = replace(self.nodes[position], **changes)


def _layout(node: int, features: int, spread: int, shape: Sequence[int]) -> Layout:
    """Of a linear node's own result: several dimensions of features count as one axis."""
    own = shape[features : features + spread]
    units = math.prod(own)
    steps = [math.prod(own[dim + 1 :]) for dim in range(len(own))]
    parts = tuple((Atom(features, step, size),) for step, size in zip(steps, own, strict=True))
    dims = dims_of(shape)
    return Layout(node, features, dims[:features] + parts + dims[features + spread :], units)
