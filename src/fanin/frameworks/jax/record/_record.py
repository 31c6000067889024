"""Recorder: the nodes seen so far; what is a normalization by held statistics, and by which."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fanin.frameworks.recording import _record
from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor, Layout, TensorEntry
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.graph import Op, Values

ValuesFunction = Callable[[Values], Values]

_RESHAPES = ("reshape", "permute", "squeeze")


@dataclass(frozen=True, slots=True)
class Root:
    """The inverse of a deviation, times parameters: of a node, or of a running variance `of`."""

    of: int | str
    scales: tuple[ParameterTensor, ...] = ()


@dataclass(frozen=True, slots=True)
class Offset:
    """What a norm adds that is written x s + (b - m s): m of a node or a running mean, and b."""

    mean: int | str
    root: Root
    sign: float = 1.0  # of m s
    shifts: tuple[ParameterTensor, ...] = ()


@dataclass(frozen=True, slots=True)
class State(ConstantTensor):
    """A running statistic that a model holds, to a power; or what follows of two of them."""

    leaf: str = ""
    power: float = 1.0
    sign: float = 1.0
    offset: Offset | None = None


@dataclass(frozen=True, slots=True)
class Normer(ParameterTensor):
    """A norm's own scale times an inverse deviation, or the offset that goes with it."""

    root: Root | None = None
    offset: Offset | None = None


@dataclass(frozen=True, slots=True)
class Normed:
    """A normalization of the node `source` whose mean may be taken away behind it."""

    source: int
    root: Root


class Recorder(_record.Recorder):
    """Knows the module of every parameter."""

    def __init__(self, modules: dict[str, str]) -> None:
        super().__init__()
        self.modules = modules
        self.sums: dict[int, tuple[int, float]] = {}  # node of a sum -> of what node, of how many
        self.windows: dict[int, tuple[Values, list[int]]] = {}  # of sums over windows
        self.maps: dict[int, int] = {}  # node of a map of positions -> its dimension of features
        self.reads: dict[int, int] = {}  # node of a convolution -> the same of what it reads
        self.partial: set[int] = set()  # products with a shard of what is summed
        self.roots: dict[int, Root] = {}
        self.offsets: dict[int, Offset] = {}
        self.normed: dict[int, Normed] = {}
        self.less: dict[int, int] = {}  # node of x - a running mean -> node of x
        self.functions: dict[
            int, dict[int, ValuesFunction]
        ] = {}  # node -> what it is a function of
        self.maxima: dict[int, int] = {}  # node of the largest of a row -> node of the row
        self.exponentials: dict[int, int] = {}  # node of exp(x - its largest) -> node of x
        self.totals: dict[int, tuple[int, bool]] = {}  # node of their sum, or its log -> of x
        self.shifted: dict[int, int] = {}  # node of x - its largest -> node of x

    def empty(self) -> "Recorder":
        """Another one, of the same parameters, that has seen nothing."""
        made = Recorder(self.modules)
        made.shapes = self.shapes
        return made

    def emit(
        self, op: Op, inputs: Sequence[ActivationTensor], shape: Sequence[int], **how: Any
    ) -> ActivationTensor:
        """A new node; a parameter's is in the module that holds it."""
        param = how.get("param")
        if param is None:
            return super().emit(op, inputs, shape, **how)
        self.path.append(self.modules[param.name])
        made = super().emit(op, inputs, shape, **how)
        self.path.pop()
        return made

    def origin(self, node: int) -> int:
        """The first node with the same values, in any shape: groups are made by reshaping."""
        node = self.twin(node)
        while self.nodes[node].label in _RESHAPES and self.nodes[node].op == "view":
            node = self.twin(self.nodes[node].inputs[0])
        return node

    def layout_of(self, node: int) -> Layout | None:
        """Where the features of a node are; None where its dimensions were not followed."""
        layout = self.layouts.get(node)
        known = layout is not None and len(layout.dims) == len(self.nodes[node].shape)
        return layout if known else None

    def follow_norm(self, before: ActivationTensor, after: ActivationTensor) -> ActivationTensor:
        """Features stay where they are, and are no more those that the weight made."""
        layout = self.layout_of(before.node)
        if layout is not None:
            self.layouts[after.node] = replace(layout, units=0)
        return after

    def activation(self, entry: TensorEntry, shape: Sequence[int]) -> ActivationTensor:
        """The node of a variable; a parameter or a constant gets one of its own."""
        if isinstance(entry, ActivationTensor):
            return entry
        if isinstance(entry, ParameterTensor):
            return self.parameter(entry, shape)
        return self.buffer(entry, shape)
