"""Adapter: what a framework offers to plans and checks, and all that they know of it.

A framework is a module with the verbs of `Adapter`. Plans see a model as a `Target`, whose
parameters are `Slot`s; checks see it as a `Subject`, and what a run showed as an `Observation`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from fanin.axes import Axes
from fanin.frameworks._buffers import BufferProof
from fanin.frameworks._first_steps import FirstSteps, RunAsked, StepsAsked
from fanin.frameworks._observation import Observation
from fanin.frameworks._stored import HowDrawn, Stored
from fanin.frameworks._tiles import Box
from fanin.graph import Graph
from fanin.initializers import Initializer
from fanin.param import Param
from fanin.recipes import Probe
from fanin.streams import Array


class Slot(Protocol):
    """One parameter of a model: what it is, what it holds, and what could be written into it."""

    @property
    def param(self) -> Param:
        """The neutral record: name, shape, dtype, roles."""

    padding_row: int | None  # the row of a table that stays zero; a plan of another library sets it
    part: Box | None  # what alone is drawn of it, where the rest stays; a plan sets it

    @property
    def has_value(self) -> bool:
        """Whether there is a value to keep: in memory, or noted while the model was built."""

    @property
    def is_empty(self) -> bool:
        """Whether it has no memory yet."""

    @property
    def is_sharded(self) -> bool:
        """Whether this process holds a part alone."""

    @property
    def is_redrawn(self) -> bool:
        """Whether what is kept was drawn by the constructor, and can be drawn again."""

    @property
    def is_computed(self) -> bool:
        """Whether what it holds is known to follow from the program, not from chance."""

    @property
    def was_drawn(self) -> bool:
        """Whether fanin is known to have drawn it before: it is the constructor's no more."""

    @property
    def first_digest(self) -> str | None:
        """The digest of what it held when it was first kept; None where that is not known."""

    def rehearse(self, initializer: Initializer | None, seed: int, axes: Axes | None) -> None:
        """Raise whatever writing would raise, without drawing or writing."""

    def holds(self, initializer: Initializer, seed: int, axes: Axes | None) -> bool:
        """Whether the values of its part, else of all of it, are those, bit by bit."""

    def equals(self, other: Any) -> bool:
        """Whether it holds the bits of another slot of the same shape and type."""

    def find_unwritten(self, varies: bool) -> str:
        """What shows that its memory was never written; "" for nothing.

        `varies`: it was to be drawn from a distribution that has no rows of zeros.
        """

    def digest(self, *, held: bool = False) -> str:
        """The SHA-256 of its values as they are stored, in row-major order, less its part.

        Of one that is kept, what writing would put back, as the constructor gave it; `held`: what
        is in memory now.
        """

    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation of the values of its part, else of all of it."""

    def read(self) -> Array | None:
        """Its values in canonical order; None where there are too many, or none."""


class Draw(NamedTuple):
    """What is to be written into a slot; None keeps its value, which may be what the user asked.

    `like` is the slot whose values it gets instead, once that has its own.
    """

    initializer: Initializer | None
    axes: Axes
    asked: bool = False
    like: str | None = None


class Written(NamedTuple):
    """What is to be told after writing, as names."""

    twins: Sequence[str]  # parameters that another living one equals
    restarted: Sequence[str]  # buffers of statistics that started anew
    made: Any = None  # the new model, or tree, of one that is not written in place


class Target(Protocol):
    """A model that is planned for, or written into."""

    @property
    def slots(self) -> Mapping[str, Slot]:
        """Every parameter once, by canonical name, in the model's order."""

    @property
    def prefix(self) -> str:
        """What stands before every name when values are drawn."""

    @property
    def library(self) -> str:
        """The package whose layers decide how weights are stored: "torch", "flax", "equinox"."""

    @property
    def notes(self) -> Sequence[str]:
        """What a plan is to tell of the model itself."""

    def trace(self, inputs: object) -> Graph:
        """The graph of one run without values; NoGraphError where there can be none.

        FaninError where parameters are sharded in a way that stands against a run.
        """

    def measure(self, inputs: object, graph: Graph) -> Graph:
        """The graph that `trace` gave, with mean squares by node of a run with the values now.

        FaninError where there are no values to run with, or other operations run then.
        """

    def probe(self, inputs: object, seed: int) -> Probe:
        """A copy of the weights and a batch, for a recipe that measures."""

    def find_origin(self, name: str) -> None:
        """Find out how the constructor made a parameter's value, where that can be."""

    def is_untouched(self, name: str) -> bool:
        """Whether a frozen parameter is known to hold what its constructor drew by chance."""

    def chance_buffers(self) -> Sequence[str]:
        """Buffers that the graph read, and whose values look drawn."""

    def prove_buffers(self, build: Callable[[], Any] | None) -> Sequence[BufferProof]:
        """Every buffer beside what the constructor computes: that of the model that `build` makes.

        Without it, as far as the parts of the model can be built once more.
        """

    def find_drawn_buffers(self) -> Sequence[str]:
        """Buffers whose values the constructor drew, whatever the seed."""

    def buffer_names(self) -> Iterable[str]:
        """Every buffer by its canonical name."""

    def list_stored(
        self, choices: Mapping[str, HowDrawn], seed: int
    ) -> tuple[list[Stored], dict[str, str]]:
        """The tensors of a file of the model's weights, drawn while it is written.

        They have the names of the library's own tree; of a tensor with several the first, and its
        other names with that one. Parameters are drawn as `choices` say, by canonical name; what
        is no parameter is as it is. FaninError, before the first draw, for what cannot be written.
        """

    def write(
        self, draws: Mapping[str, Draw], seed: int, buffers: Mapping[str, Any] | None
    ) -> Written:
        """Write all, or raise and leave the model as it was."""


class Facts(NamedTuple):
    """What a report says of a model and the machine; several types or devices are listed."""

    model: str
    parameters: int
    framework: str  # its name and version: "torch 2.13.0"
    dtype: str
    device: str
    mode: str  # "train", "eval" or "mixed"


class Subject(Protocol):
    """A model that a checkup is of."""

    @property
    def facts(self) -> "Facts":
        """What a report says of the model and the machine."""

    @property
    def tiny(self) -> float:
        """The smallest number that its types hold in full."""

    def batch_of(self, inputs: object) -> int:
        """How many inputs a batch holds."""

    def observe(self, run: RunAsked) -> Observation:
        """One real run, after which the model is as it was. The output itself is left out."""

    def find_left_out(self, optimizer: object) -> tuple[str, ...]:
        """The trainable parameters that an optimizer object did not get; of a name, none."""

    def is_sgd(self, optimizer: object) -> bool | None:
        """Whether an optimizer, or the one of a name, moves weights by the gradient's own size."""

    def take_steps(self, run: RunAsked, asked: StepsAsked) -> FirstSteps:
        """The first steps of training on these inputs, after which the model is as it was.

        FaninError for an optimizer that is none of the framework's, or that has no parameter of
        the model.
        """


Model = Any  # an object of the framework; only its adapter looks into it
Device = Any


class Adapter(Protocol):
    """The verbs of a framework's module."""

    def target(
        self,
        model: Model,
        *,
        rename: Mapping[str, str] | None = None,
        shards: Mapping[str, object] | None = None,
        device: Device = None,
        prefix: str = "",
    ) -> Target:
        """A model to plan for or to write into."""

    def subject(self, model: Model) -> Subject:
        """A model to check; FaninError where a parameter has no values."""

    def build(self, factory: Callable[[], Model], seed: int) -> Model:
        """What a factory makes when all random states start from this seed; they are put back."""

    def place(self, values: object, model: Model) -> object:
        """Arrays, alone or in a tuple, as the framework's own where the model is."""
