"""A framework of dense layers in NumPy, and its adapter: all that fanin asks of one."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from fanin.axes import Axes
from fanin.errors import FaninError
from fanin.frameworks import (
    Draw,
    Facts,
    FirstSteps,
    GradientStats,
    Look,
    Observation,
    ParameterStats,
    RunAsked,
    StepsAsked,
    Written,
)
from fanin.graph import Graph, Node, Use
from fanin.initializers import Initializer
from fanin.param import Param

AXES = Axes(("in", "out"))  # as Keras and JAX store a dense layer's weight

Array = Any


class Model:
    """Dense layers with tanh between them; weights are (in, out)."""

    def __init__(self, *sizes: int) -> None:
        pairs = pairwise(sizes)
        self.weights = {f"{at}.kernel": np.zeros(pair) for at, pair in enumerate(pairs)}

    def __call__(self, x: Array) -> Array:
        *_, last = self.steps(x)
        return last

    def steps(self, x: Array) -> Iterator[Array]:
        """What every node gives: the input, then of each layer its product and its tanh."""
        yield x
        for at, weight in enumerate(self.weights.values()):
            x = x @ weight
            yield x
            if at + 1 < len(self.weights):
                x = np.tanh(x)
                yield x


def nodes_of(model: Model, shape: tuple[int, ...]) -> tuple[Node, ...]:
    """The record of a run: an input, then a product and a tanh for each layer."""
    nodes = [Node("input", (), shape, "")]
    for at, (name, weight) in enumerate(model.weights.items()):
        out = (*shape[:-1], weight.shape[1])
        module = name.partition(".")[0]
        nodes.append(Node("linear", (len(nodes) - 1,), out, module, Use(name, AXES)))
        if at + 1 < len(model.weights):
            last = (len(nodes) - 1,)
            about: dict[str, Any] = {"fn": np.tanh, "label": "tanh", "function": "tanh"}
            nodes.append(Node("pointwise", last, out, "", **about))
    return tuple(nodes)


@dataclass
class Slot:
    """One weight."""

    model: Model
    param: Param
    prefix: str
    padding_row: int | None = None
    has_value: bool = True
    is_empty: bool = False
    is_sharded: bool = False
    is_redrawn: bool = False
    is_computed: bool = False
    was_drawn: bool = False
    first_digest: str | None = None
    part: Any = None

    @property
    def value(self) -> Array:
        return self.model.weights[self.param.name]

    def drawn(self, initializer: Initializer, seed: int, axes: Axes | None) -> Array:
        name = f"{self.prefix}.{self.param.name}" if self.prefix else self.param.name
        how: dict[str, Any] = {"dtype": self.param.dtype, "axes": axes or self.param.axes}
        return initializer(self.param.shape, seed=seed, name=name, **how)

    def rehearse(self, initializer: Initializer | None, seed: int, axes: Axes | None) -> None:
        if initializer is not None:
            self.drawn(initializer, seed, axes)

    def holds(self, initializer: Initializer, seed: int, axes: Axes | None) -> bool:
        return bool((self.value == self.drawn(initializer, seed, axes)).all())

    def equals(self, other: "Slot") -> bool:
        return self.digest() == other.digest()

    def find_unwritten(self, varies: bool) -> str:
        return ""

    def digest(self, *, held: bool = False) -> str:
        return hashlib.sha256(self.value.tobytes()).hexdigest()

    def moments(self) -> tuple[float, float]:
        return float(self.value.mean()), float(self.value.std())

    def read(self) -> Array:
        return self.value


@dataclass
class Target:
    """A model to plan for or to write into."""

    model: Model
    prefix: str = ""
    library: str = "toy"
    notes: tuple[str, ...] = ()
    slots: Mapping[str, Slot] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.slots = {
            name: Slot(
                self.model,
                Param(name, value.shape, str(value.dtype), "weight", "Dense", AXES),
                self.prefix,
            )
            for name, value in self.model.weights.items()
        }

    def trace(self, inputs: object) -> Graph:
        nodes = nodes_of(self.model, np.shape(inputs))  # type: ignore[arg-type]
        return Graph(nodes, (len(nodes) - 1,))

    def measure(self, inputs: Any, graph: Graph) -> Graph:
        steps = self.model.steps(np.asarray(inputs))
        sizes = {at: float((step**2).mean()) for at, step in enumerate(steps)}
        return replace(graph, measured=sizes)

    def probe(self, inputs: object, seed: int) -> Any:
        raise FaninError("toy models are not measured.")

    def find_origin(self, name: str) -> None:
        """Constructors of toys draw nothing."""

    def is_untouched(self, name: str) -> bool:
        return False

    def chance_buffers(self) -> list[str]:
        return []

    def prove_buffers(self, build: Any) -> list[Any]:
        return []

    def find_drawn_buffers(self) -> list[str]:
        return []

    def buffer_names(self) -> list[str]:
        return []

    def write(
        self, draws: Mapping[str, Draw], seed: int, buffers: Mapping[str, Any] | None
    ) -> Written:
        made = {
            name: self.slots[name].drawn(draw.initializer, seed, draw.axes)
            for name, draw in draws.items()
            if draw.initializer is not None
        }
        self.model.weights.update(made)
        return Written([], [])


@dataclass
class Subject:
    """A model to check."""

    model: Model
    tiny: float = float(np.finfo(float).tiny)

    @property
    def facts(self) -> Facts:
        count = sum(weight.size for weight in self.model.weights.values())
        return Facts("Model", count, "toy 1.0", "float64", "cpu", "train")

    def batch_of(self, inputs: Any) -> int:
        return len(inputs)

    def observe(self, run: RunAsked) -> Observation:
        """Forward, and the gradient of the mean squared error backward."""
        inputs: Array = run.inputs
        nodes = nodes_of(self.model, inputs.shape)
        steps = list(self.model.steps(inputs))
        error: Array = steps[-1] - run.targets
        gradient = 2 * error / error.size
        gradients: list[Array] = [None] * len(steps)
        for at in range(len(steps) - 1, -1, -1):
            gradients[at] = gradient
            use = nodes[at].param
            if use is not None:
                gradient = gradient @ self.model.weights[use.name].T
            elif nodes[at].op == "pointwise":
                gradient = gradient * (1 - steps[at] ** 2)
        return Observation(
            nodes,
            tuple(float(np.sqrt((step**2).mean())) for step in steps),
            tuple(float(np.linalg.norm(each)) for each in gradients),
            None,
            float((error**2).mean()),
            looks={at: Look(float(step.mean()), None) for at, step in enumerate(steps)},
            flat={
                at: float((1 - steps[at] ** 2 < run.flat).mean())
                for at, node in enumerate(nodes)
                if node.op == "pointwise"
            },
            values={name: described(value) for name, value in self.model.weights.items()},
            weight_gradients={name: GradientStats(1.0) for name in self.model.weights},
            outputs=(len(nodes) - 1,),
            loss_name="mean squared error",
        )

    def find_left_out(self, optimizer: object) -> tuple[str, ...]:
        return ()

    def is_sgd(self, optimizer: object) -> bool:
        return optimizer == "sgd"

    def take_steps(self, run: RunAsked, asked: StepsAsked) -> FirstSteps:
        raise FaninError("the toy does not train.")


def described(value: Array) -> ParameterStats:
    """A weight's values."""
    rms = float(np.sqrt((value**2).mean()))
    return ParameterStats(
        value.shape,
        float(value.mean()),
        rms,
        float(value.min()),
        float(value.max()),
        float((value**4).mean() / rms**4) if rms else 0.0,
        tuple(map(float, value.ravel()[:8])),
        False,
        value.shape[1],
        len(np.unique(value.T, axis=0)),
    )


def target(
    model: Model,
    *,
    rename: Mapping[str, str] | None = None,
    shards: Mapping[str, object] | None = None,
    device: object = None,
    prefix: str = "",
) -> Target:
    return Target(model, prefix)


def subject(model: Model) -> Subject:
    return Subject(model)


def build(factory: Callable[[], Model], seed: int) -> Model:
    return factory()


def place(values: object, model: Model) -> object:
    return values
