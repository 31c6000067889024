"""Measurement: what one checkup knows of a model, from one draw of its weights or from several."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from fanin.checks._chains import Chains, is_affine
from fanin.checks._draws import (
    Numbers,
    freeze,
    geometric_means,
    means,
    merge_looks,
    signature,
)
from fanin.checks._finding import Severity
from fanin.checks._limits import LIMITS, Limits
from fanin.checks._matched import fans_of, recognize
from fanin.checks._remedy import fits
from fanin.checks._streams import see_through_moves
from fanin.checks._theory import Theory
from fanin.errors import FaninError
from fanin.frameworks import (
    FirstSteps,
    Gates,
    GradientStats,
    Look,
    Observation,
    Outside,
    ParameterStats,
    TargetsMet,
    TargetStats,
)
from fanin.graph import Graph, Node

_NEARLY_ALL = 0.99


@dataclass(frozen=True)
class Measurement:
    """Sizes and gradients by node, values by parameter, and what follows from them."""

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    derived: Collection[int]  # nodes of a derivative that the model itself takes
    rms: Numbers
    gradients: Numbers
    looks: Mapping[int, Look]
    silent: Mapping[int, float]
    flat: Mapping[int, float]
    values: Mapping[str, ParameterStats]
    weight_gradients: Mapping[str, GradientStats]
    frozen: frozenset[str]
    outside: Sequence[Outside]  # what requires gradients and is no parameter
    spreads: Mapping[int, float]  # of logits, by the softmax or attention that they go into
    asked: Mapping[str, int]  # by the loss: its operation, and the node that it read
    compared: TargetsMet | None  # by the loss, with targets
    gates: Mapping[int, Sequence[Gates]]  # layers inside of recurrent modules
    train: bool
    batch: int
    draws: int
    tiny: float  # the smallest number that the model's type holds in full
    loss: float | None = None  # None of a random projection
    classes: int | None = None  # of a cross-entropy
    targets: TargetStats | None = None  # the size of what a loss compares with the outputs
    left_out: tuple[str, ...] = ()  # trainable parameters that the optimizer did not get
    sgd: bool | None = None  # whether it is to train by SGD; None where no optimizer was told
    steps: FirstSteps | None = None
    limits: Limits = LIMITS

    @cached_property
    def after(self) -> "Measurement | None":
        """What the first steps made of the model."""
        if self.steps is None:
            return None
        facts = {"train": self.train, "batch": self.batch, "tiny": self.tiny}
        return measure([self.steps.after], loss=self.steps.losses[-1], **facts)

    @cached_property
    def graph(self) -> Graph:
        return Graph(self.nodes, self.outputs)

    @cached_property
    def chains(self) -> Chains:
        return self._chains()

    @cached_property
    def runs(self) -> Chains:
        """Chains that go on through normalizations. Units have the same numbers as in `chains`."""
        return self._chains(through=True)

    def _chains(self, *, through: bool = False) -> Chains:
        return Chains(
            self.graph,
            self._sized,
            train=self.train,
            through=through,
            long=True,
            derived=self.derived,
        )

    @cached_property
    def _sized(self) -> set[int]:
        return {at for at, size in enumerate(self.rms) if size is not None}

    @cached_property
    def theory(self) -> Theory:
        shapes = {name: value.shape for name, value in self.values.items()}
        sizes = {name: (value.mean, value.rms) for name, value in self.values.items()}
        return Theory(self.chains, self.rms, shapes, sizes)

    def size(self, use: int) -> float | None:
        """The RMS of a use's output; None where it is not finite."""
        return _finite(self.rms[self.chains.uses[use].output])

    def gradient(self, use: int) -> float | None:
        """The norm of the gradient at a use's output; None where it is not finite."""
        place = self.chains.uses[use]
        found = self.gradients[place.output]
        return _finite(self.gradients[place.node] if found is None else found)

    def module(self, use: int) -> str:
        """Where a use is: the module that its weight works in, or the weight's name.

        The name where an outer module uses the weight, or a module holds several of its own.
        """
        place, name = self.nodes[self.chains.uses[use].node].module, self.chains.uses[use].name
        owner, _, last = name.rpartition(".")
        return name if owner.startswith(place) and (owner != place or last != "weight") else place

    def worst(self, use: int) -> Severity:
        """A warning inside of a residual branch: the stream leads past what is wrong there.

        But where that leads past all that could learn.
        """
        return "warning" if use in self.chains.in_branches and not self._blocked else "error"

    @cached_property
    def _blocked(self) -> bool:
        """Whether SGD trains no residual branch: gradients vanish or inputs collapse in all."""
        if not self.sgd:
            return False
        inside = [path for path in self.chains.paths if path[0] in self.chains.in_branches]
        covered = {use for path in inside for use in path if len(path) > 1}
        return (
            bool(covered) and covered >= self.chains.in_branches and all(map(self._closes, inside))
        )

    def _closes(self, path: Sequence[int]) -> bool:
        first, last = self.gradient(path[0]), self.gradient(path[-1])
        if first is None or not last:
            return False
        before, after = (self.tell_apart(self.chains.uses[path[end]].output) for end in (0, -1))
        kept = after / before if before and after is not None else 1.0
        limits = self.limits
        return first / last * limits.backward_error < 1 or kept < limits.collapse_error

    def tell_apart(self, position: int) -> float | None:
        """One less the mean cosine of different inputs at a node; None where they are on other
        axes.
        """
        look, shape = self.looks.get(position), self.nodes[position].shape
        if look is None or look.cosine is None or (shape and shape[0] % self.batch):
            return None
        return max(1 - look.cosine, 0.0)

    def soften(self, use: int, severity: Severity | None) -> Severity | None:
        """A severity, but none that is worse than this use can have."""
        return self.worst(use) if severity == "error" else severity

    @cached_property
    def off_scale(self) -> dict[int, float]:
        """Inputs of real numbers that are not near mean 0 and variance 1, and their deviation."""
        limits, found = self.limits, {}
        for at, node in enumerate(self.nodes):
            look = self.looks.get(at)
            if node.op != "input" or "integers" in node.flags or look is None:
                continue
            std = deviation(self.rms[at], look.mean)
            if std is None:
                continue
            mean = abs(look.mean)
            shifted = mean > limits.input_mean * std or mean > max(std, limits.input_far)
            wild = shifted or not limits.input_low <= std <= limits.input_high
            if wild and not self._rescales(at):
                found[at] = std
        return found

    def _rescales(self, position: int) -> bool:
        """Whether the model itself brings an input to scale, before anything else."""
        users, affine, size = self.chains.structure.users, False, None
        while len(users[position]) == 1:
            position = users[position][0]
            node = self.nodes[position]
            if node.op not in ("view", "pointwise") or len(set(node.inputs)) > 1:
                break
            if node.op == "pointwise" and not is_affine(node):
                break
            if node.op == "pointwise":
                affine, size = True, self.rms[position]
        return (
            affine and size is not None and self.limits.input_low <= size <= self.limits.input_high
        )

    @cached_property
    def places(self) -> Mapping[str, Sequence[int]]:
        """Of every parameter that took part in the run: the nodes that use it."""
        found: dict[str, list[int]] = {}
        for at, node in enumerate(self.nodes):
            for name in dict.fromkeys(use.name for use in (node.param, *node.uses) if use):
                found.setdefault(name, []).append(at)
        return found

    @cached_property
    def stuck(self) -> tuple[str, ...]:
        """Parameters that the run used, that are to be trained, and that got no gradient."""
        return tuple(
            name
            for name in self.values
            if name not in self.frozen
            and name not in self.weight_gradients
            and not all(self._loses_shift(self.nodes[at]) for at in self.places.get(name, ()))
        )

    def _loses_shift(self, node: Node) -> bool:
        """Whether a shift has no part in a derivative, while the weight that it follows has."""
        before = self.nodes[node.inputs[0]].param if node.op == "shift" else None
        return before is not None and before.name in self.weight_gradients

    def is_zero(self, name: str) -> bool:
        """Whether all values of a parameter are zero."""
        return name in self.values and self.values[name].rms == 0

    def moves(self, name: str) -> bool:
        """Whether a parameter gets a gradient."""
        return self.slope(name) > 0

    def slope(self, name: str) -> float:
        """The norm of a parameter's gradient; 0 where it gets none."""
        found = self.weight_gradients.get(name)
        return 0.0 if found is None else found.norm

    @cached_property
    def least_slope(self) -> float:
        """What is no gradient to speak of, beside those of the weights."""
        weights = (name for name in self.weight_gradients if len(self.values[name].shape) > 1)
        finite = (size for size in map(self.slope, weights) if math.isfinite(size))
        return self.limits.starved * max(finite, default=0.0)

    def recognize(self, use: int) -> str:
        """The initializer that a use's weight looks like."""
        place = self.chains.uses[use]
        values, how = self.values.get(place.name), self.nodes[place.node].param
        if values is None or how is None:
            return "unknown"
        both = fans_of(how, values.shape)
        return recognize(values, *both)

    def fits(self, use: int) -> bool:
        """Whether a use's weight has the size that the activation before it asks for."""
        place = self.chains.uses[use]
        values, how = self.values.get(place.name), self.nodes[place.node].param
        if values is None or how is None or not place.parents or how.fans is not None:
            return False
        label = self.activation(place.parents[0])
        return fits(label, values.std, values.shape, replace(how.axes, blocks=()))

    def activation(self, use: int) -> str:
        """The name of the first function that a use's output goes through; "" for none."""
        return self._activations.get(use, "")

    @cached_property
    def _activations(self) -> dict[int, str]:
        found: dict[int, str] = {}
        for at, node in enumerate(self.nodes):
            if node.op != "pointwise" or len(set(node.inputs)) != 1 or is_affine(node):
                continue
            owner = self.chains.owners[at]
            if owner is not None:
                found.setdefault(owner, self._name(at, node))
        return found

    def _name(self, at: int, node: Node) -> str:
        swish = node.function == "sigmoid" and self.chains.is_factor(at)
        return "silu" if swish else node.label

    @cached_property
    def shut(self) -> dict[int, str]:
        """Units that pass nothing on: "dead" or "saturated", on nearly every input."""
        found: dict[int, str] = {}
        for what, shares in (("saturated", self.flat), ("dead", self.silent)):
            for at, share in shares.items():
                owner = self.chains.owners[at]
                whole = not (self.chains.gates(at) or self.chains.is_factor(at))
                if owner is not None and share > _NEARLY_ALL and whole:
                    found[owner] = what
        return found

    @cached_property
    def held(self) -> frozenset[str]:
        """What is frozen; nothing where all is: then it is judged as if it were to be trained."""
        return self.frozen if self.values.keys() - self.frozen else frozenset()

    @cached_property
    def zeros(self) -> dict[int, str]:
        """The nodes of weights and scales that are zero, and the names of these."""
        return {
            at: node.param.name
            for at, node in enumerate(self.nodes)
            if node.param is not None
            and node.op in ("linear", "scale")
            and self.is_zero(node.param.name)
        }

    @cached_property
    def openers(self) -> dict[int, str]:
        """Those of the zeros that training moves at once: what is behind them opens later."""
        moving = {name for name in self.zeros.values() if self.moves(name)} - self.held
        return {at: name for at, name in self.zeros.items() if name in moving}

    def find_closing(self, position: int) -> str:
        """The zero parameter that keeps gradients from a node until it has moved; "" for none.

        It comes later in the run, or makes the zeros that the node's own signal only gates.
        """
        above = self.chains.structure.above
        gated = [zero for at, zero in self.gated_zeros if position in above[at]]
        for opener, name in self.openers.items():
            makes = any(opener == zero or opener in above[zero] for zero in gated)
            if makes or position in above[opener]:
                return name
        return ""

    @cached_property
    def gated_zeros(self) -> list[tuple[int, int]]:
        """Products with an operand that is zero throughout: their nodes, and those of the zeros."""
        return [
            (at, zero)
            for at, node in enumerate(self.nodes)
            if node.op == "mul"
            for zero in (see_through_moves(self.nodes, source) for source in node.inputs)
            if self.rms[zero] == 0
        ]


def measure(seen: Sequence[Observation], **facts: Any) -> Measurement:
    """One measurement of the observations of several draws.

    Geometric means of sizes and gradients, means of shares; values are those of the first draw,
    or of the first one that has a value that is not finite.
    """
    first = seen[0]
    if any(signature(draw) != signature(first) for draw in seen):
        raise FaninError(
            "the factory made different models in different draws: their operations do not agree. "
            "It must make one architecture, whatever the random state."
        )
    values = {
        name: next((draw.values[name] for draw in seen if not draw.values[name].finite), mine)
        for name, mine in first.values.items()
    }
    return Measurement(
        nodes=first.nodes,
        outputs=first.outputs,
        derived=frozenset(first.derived),
        rms=tuple(geometric_means([draw.rms for draw in seen])),
        gradients=tuple(geometric_means([draw.gradients for draw in seen])),
        looks=freeze(merge_looks([draw.looks for draw in seen])),
        silent=freeze(means([draw.silent for draw in seen])),
        flat=freeze(means([draw.flat for draw in seen])),
        values=freeze(values),
        weight_gradients=freeze(first.weight_gradients),
        frozen=frozenset(first.frozen),
        outside=tuple(first.outside),
        spreads=freeze(means([draw.spreads for draw in seen])),
        asked=freeze(first.asked),
        compared=first.compared,
        gates=freeze({at: tuple(inside) for at, inside in first.gates.items()}),
        draws=len(seen),
        **facts,
    )


def deviation(size: float | None, mean: float) -> float | None:
    """The standard deviation of inputs with this RMS and mean; None where it is not finite."""
    if size is None or not math.isfinite(size):
        return None
    return math.sqrt(max(size**2 - mean**2, 0.0))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
