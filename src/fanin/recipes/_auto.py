"""The recipe `auto`: every weight's output has second moment one, residual streams order one.

What it decides is decided from the graph of one run; no name of a model or a parameter is
read. The sizes of heads, tables and branches below were chosen by training (docs/zoo).
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from fanin.axes import Axes
from fanin.errors import FaninError
from fanin.graph import (
    Graph,
    Node,
    Residual,
    Structure,
    Use,
    Values,
    find_carried,
)
from fanin.initializers import Initializer, normal, variance_scaling, zeros
from fanin.recipes._acting import DrawnOnce, acts_as
from fanin.recipes._branches import find_gains
from fanin.recipes._choice import Choice
from fanin.recipes._digits import round_size
from fanin.recipes._made import heard, same
from fanin.recipes._modulated import find_flows
from fanin.recipes._parameters import Share, WeightScale
from fanin.recipes._products import Products
from fanin.recipes._propagate import Propagation, run_modes
from fanin.recipes._reasons import before, of_branch, of_weight, on_stream, role_of
from fanin.recipes._recipe import GivenInitializers, Params, Recipe
from fanin.recipes._rows import UnsteadyRows
from fanin.recipes._sines import find_sine_targets
from fanin.recipes._sizes import BRANCH, RAW_BRANCH, TABLE, Sizes, rms_of_tied
from fanin.recipes._statements import find_moved
from fanin.recipes._targets import KnownTarget, find_known_targets
from fanin.recipes._uses import constants, count_uses, find_known_values, measure_apart

_FITS = 3  # runs at most, after which sizes that depend on each other have settled


def _choose(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
    return {} if graph is None else _Auto(params, graph, given).choices()


AUTO: Recipe = Recipe(
    "auto",
    _choose,
    "He et al. 2015 and Glorot & Bengio 2010, generalized to the graph; docs/recipes.md",
)


class _Auto:
    def __init__(self, params: Params, graph: Graph, given: GivenInitializers) -> None:
        counts = heard(params, graph)
        self.params, self.graph, self.given = counts.params, graph, given
        kept = {name for name, param in params.items() if param.kept_rms is not None}
        self.stay = counts.stay - kept - given.keys()
        self.fixed = kept | self.stay | given.keys()
        self.shapes = {name: param.shape for name, param in params.items()}
        self.constants = constants(params, graph).keys() - self.fixed
        self.structure = Structure(graph)
        self.uses: dict[str, list[int]] = {}
        for position, node in enumerate(graph.nodes):
            if node.param is not None:
                self.uses.setdefault(node.param.name, []).append(position)
        self.parameters = Sizes(self.params, graph, self.structure, self.uses)
        self.targets: dict[int, float] = {}
        self.shares: dict[int, Share] = {}
        self.sizes: dict[str, float] = {}
        self.products = Products(self.structure, self.uses)
        self.biases: dict[str, str] = {}  # that are drawn, and why
        self.identities = find_flows(self.structure) - self.fixed
        self.values = self._find_known_values()
        self.reasons: dict[int, str] = {}
        self.drawn = DrawnOnce()

    def choices(self) -> dict[str, Choice]:
        self._set_targets(find_known_targets(self.structure))
        self._set_targets(self.products.targets(self.targets))
        self._set_targets(find_sine_targets(self.structure, self.shapes, self._scale_of))
        self._branches()
        self._mixtures()
        self._rows()
        self._parameters()
        run = self._run()
        for _ in range(max(_FITS, len(self.products.made) + 1)):
            fitted = self.products.fit(run, self.targets)
            if not (self._fit_tied(run) | self._fit_sums(run) | fitted):
                break
            run = self._run()
        sized = [name for name in self.uses if name not in self.constants]
        made = {name: self._choice(name, self.parameters.main(name), run) for name in sized}
        made |= self._recurrent(run)
        return {name: choice for name, choice in made.items() if choice is not None}

    def _recurrent(self, run: Propagation) -> dict[str, Choice | None]:
        """The weights that read the inputs of recurrent layers."""
        return {
            use.name: self._weight(run.weights[use.name], use, self._read(node, use), "")
            for node in self.graph.nodes
            for use in node.uses
            if use.name in run.weights and use.name not in self.fixed
        }

    def _read(self, node: Node, use: Use) -> str:
        """What a weight reads, for the reason."""
        return "state of the layer below" if use.layer else f"input{before(self.graph, node)}"

    def _find_known_values(self) -> dict[str, Values]:
        """The values of parameters that stay as they are."""
        found: dict[str, Values] = {}
        for name in (self.constants | self.fixed) - self.given.keys():
            param = self.params[name]
            made = name in self.stay and param.constant is not None
            values = find_known_values(param, read=not made and name in self.uses)
            if values is not None:
                found[name] = values
        return found

    def _run(self) -> Propagation:
        variances, measured = self._variances(), measure_apart(self.graph, self.fixed)

        def make(train: bool, made: Mapping[str, float]) -> Propagation:
            return Propagation(
                *(self.graph, self.shapes, self.targets, self.shares, dict(self.sizes)),
                *({**made, **variances}, self.values),
                train=train,
                measured=measured,
                drawn=self.drawn,
            )

        return run_modes(self.graph, make)

    def _fit_tied(self, run: Propagation) -> bool:
        """Tables that are also heads, sized for what feeds the head in this run."""
        changed = False
        for name in self.uses:
            heads = self.parameters.uses_as(name, "linear")
            if name in self.fixed or name not in run.variances or not heads:
                continue
            if self.parameters.is_codebook(name):
                continue
            fed = run.signals[self.graph.nodes[heads[0]].inputs[0]]
            if fed is None or fed.second <= 0 or self.params[name].kind == "shift":
                continue
            width = self.params[name].shape[-1]
            size, before = rms_of_tied(width, fed.second), self.sizes.get(name)
            if before is None:  # as large as a rule says
                continue
            for other, value in self.sizes.items():  # and what is added to its rows
                if value == before and self.params[other].shape[-1] == width:
                    self.sizes[other] = size
            changed |= not math.isclose(size, before, rel_tol=1e-6)
        return changed

    def _fit_sums(self, run: Propagation) -> bool:
        """Ends of branches that are summed over positions behind them, as over neighbours."""
        changed = False
        for residual in self.structure.residuals.values():
            branch, ends = run.signals[residual.branch], self.structure.ends(residual)
            if not self.structure.sums_behind_ends(residual) or branch is None:
                continue
            for end in ends:
                if branch.second <= 0 or end not in self.shares or self.shares[end].factor != 1:
                    continue
                wanted = run.target(end) / self.shares[end].part * self._part(residual, end)
                ratio = wanted / branch.second
                part = self.shares[end].part * ratio
                self.shares[end] = replace(self.shares[end], part=part)
                changed |= not math.isclose(ratio, 1.0, rel_tol=1e-3)
        return changed

    def _set_targets(self, found: Iterable[KnownTarget]) -> None:
        for position, target, reason in found:
            self.targets[position], self.reasons[position] = target, reason

    def _scale_of(self, node: Node) -> float | None:
        """What a scale multiplies by, where it is kept and the same for all."""
        if node.param is None:
            return None
        values = self.values.get(node.param.name, self.params[node.param.name].constant)
        if values is None:
            return None
        acting = acts_as(node.param, self.shapes, values)
        return None if acting is None or np.ptp(acting) > 0 else float(np.mean(acting))

    def _branches(self) -> None:
        """The last weight, or the norm's or layer's scale, of every residual branch."""
        moved = find_moved(self.graph, {n for n in self.stay if self.params[n].meant})
        for residual in self.structure.residuals.values():
            chain = self.structure.chains[residual.node]
            gains = find_gains(self.structure, residual)
            for outer in self.structure.ends(residual):
                for end, factor in self._size_ends([outer]):
                    if end in moved:
                        continue
                    # A step of time makes up for its uses; another small number says a small one.
                    uses = self._count_uses(end)
                    part = self._part(residual, end) / max(gains[outer], 1 / max(uses, 1)) ** 2
                    self.shares[end] = Share(part, chain.start, factor)
                    self.reasons[end] = of_branch(chain.length, uses)

    def _mixtures(self) -> None:
        """What is mixed into a stream is as large as the stream: else gradients explode."""
        for end, stream, loops in find_carried(self.graph, self.structure):
            if (self._count_uses(end) > 1) == loops and end not in self.shares:
                self.shares[end] = Share(1.0, stream)
                self.reasons[end] = "as large as the stream that is passed on beside it"

    def _rows(self) -> None:
        """Layers in a row whose activation lets the variance run away get one that it keeps."""
        for layer in UnsteadyRows(self.structure).layers():
            position, bias = layer.weight, layer.bias
            if position in self.targets or position in self.shares or not self._is_free(position):
                continue
            if bias is None or not self._is_free(bias):
                self.reasons[position] = f"its row multiplies chance by {layer.grows:.2g}; no bias"
                continue
            start, use = layer.start, self.graph.nodes[bias].param
            assert use is not None
            self.targets[position] = start.variance - start.bias_variance
            self.sizes[use.name] = round_size(math.sqrt(start.bias_variance))
            why = f"keeps variance {start.variance:.3g} of {layer.activation} in a long row"
            self.reasons[position] = self.biases[use.name] = why

    def _is_free(self, position: int) -> bool:
        """Whether a parameter that acts here alone can be drawn as is wanted."""
        use = self.graph.nodes[position].param
        kept = self.fixed | self.constants
        return use is not None and use.name not in kept and len(self.uses[use.name]) == 1

    def _part(self, residual: Residual, end: int) -> float:
        """What the end of a branch is to add to the stream, of what that has."""
        size = BRANCH if self.structure.reads_normalized(residual) else RAW_BRANCH
        groups = self.structure.terms(residual)
        terms = max(sum(any(map(self._adds, group)) for group in groups), 1)
        # Branches of one weight add up as one, those of different weights as their squares.
        again = max(self._count_uses(end), 1)
        return size / (terms * self.structure.chains[residual.node].length * again)

    def _adds(self, end: int) -> bool:
        """Whether the parameter at an end is more than the half of an update that starts at 0."""
        node = self.graph.nodes[end]
        kind = self.params[node.param.name].kind if node.param else None
        return not (node.op == "linear" and kind == "shift")

    def _size_ends(self, ends: Iterable[int], factor: float = 1.0) -> Iterator[tuple[int, float]]:
        """The ends of a branch, and the factor of kept scales behind each.

        A weight before a kept scale makes up for one above 1; one below says a small branch.
        """
        for end in ends:
            node = self.graph.nodes[end]
            if node.op != "scale" or node.param is None or node.param.name not in self.values:
                yield end, factor
                continue
            acting = acts_as(node.param, self.shapes, self.values[node.param.name])
            size = 1.0 if acting is None else math.sqrt(float(np.mean(acting**2)))
            yield from self._size_ends(
                self.structure.ends_at(node.inputs[0]), factor * max(size, 1.0)
            )

    def _count_uses(self, end: int) -> int:
        use = self.graph.nodes[end].param
        return 0 if use is None else count_uses(self.graph, self.uses[use.name], use)

    def _parameters(self) -> None:
        """Sizes of the parameters that are no weights."""
        ops = {
            name: {self.graph.nodes[position].op for position in positions}
            for name, positions in self.uses.items()
        }
        tied = {
            self.params[name].shape[-1]: rms_of_tied(self.params[name].shape[-1], 1.0)
            for name, found in ops.items()
            if {"lookup", "linear"} <= found and not self.parameters.is_codebook(name)
        }
        ends = {end for end in self.shares if self.graph.nodes[end].op == "scale"}
        for name, positions in self.uses.items():
            if name in self.fixed:
                self.sizes[name] = self._rms(name)
            elif name in self.constants:
                continue
            elif not ends & set(positions):  # else as large as the branch is to be
                size = self.parameters.size(name, ops[name], tied)
                if size is not None:
                    self.sizes[name] = self.products.rows.get(name, size)

    def _variances(self) -> dict[str, float]:
        """Variances of weights that do not come from what feeds them."""
        sizes = {name: self._rms(name) for name in self.fixed if name in self.uses}
        fixed = {name: size * size for name, size in sizes.items()} | dict.fromkeys(
            self.identities, 0.0
        )
        for name, positions in self.uses.items():
            ops = {self.graph.nodes[position].op for position in positions}
            if {"lookup", "linear"} <= ops and name not in fixed:
                fixed[name] = self.sizes.get(name, TABLE) ** 2
            elif self.params[name].kind == "shift" and "linear" in ops:
                fixed.setdefault(name, 0.0)  # the second half of a low-rank update
        return fixed

    def _rms(self, name: str) -> float:
        kept = self.params[name].kept_rms
        if name in self.stay:
            return math.sqrt(float(np.mean(np.square(self.values.get(name, 0.0)))))
        if name not in self.given and kept is not None:
            return kept if math.isfinite(kept) else 1.0  # values that are not finite say nothing
        shape = self.params[name].shape
        try:
            return self.given[name].std(shape, self._axes(name))
        except FaninError as error:
            raise FaninError(f"{name} ({self.given[name]}): {error}") from None

    def _axes(self, name: str) -> Axes:
        use = self.graph.nodes[self.uses[name][0]].param
        assert use is not None
        return use.axes

    def _choice(self, name: str, position: int, run: Propagation) -> Choice | None:
        node = self.graph.nodes[position]
        assert node.param is not None
        reason = self._reason(position, run)
        param = self.params[name]
        match node.op:
            case "linear" if param.kind == "shift":
                return None  # starts at zero, by its kind
            case "linear" if name in self.identities:
                role = role_of(node.param.axes, param.shape)
                return Choice(
                    zeros(), role, "the coupling starts as the identity", self._axes(name)
                )
            case "linear" if name in run.weights:
                read = self._read(node, node.param)
                return self._weight(run.weights[name], node.param, read, reason)
            case "linear" if name in self.fixed:
                role = role_of(node.param.axes, param.shape)
                return Choice(normal(std=run.sizes[name]), role, "given", node.param.axes)
            case "linear" | "lookup":
                tied = name in run.variances and not self.parameters.is_codebook(name)
                return self._choose_drawn(run, name, "table", tied)
            case "parameter":
                return self._choose_drawn(run, name, "token")
            case "scale":
                if self.parameters.is_filter(name) and not reason:
                    return self._choose_drawn(run, name, "elementwise weight")
                size = run.sizes[name]
                why = reason or self.parameters.why_scale(name, size)
                return Choice(same(size), "scale", self.parameters.through(name, why))
            case "shift" if self.parameters.is_table(name):
                return self._choose_drawn(run, name, "position table")
            case "shift" if name in self.biases:
                return Choice(normal(std=run.sizes[name]), "bias", self.biases[name])
            case "shift":
                return Choice(zeros(), "bias", "biases start at zero")
        return None

    def _reason(self, position: int, run: Propagation) -> str:
        """What decided the size at a node."""
        share = self.shares.get(position)
        stream = None if share is None else run.signals[share.stream]
        return on_stream(self.reasons.get(position, ""), stream)

    def _choose_drawn(self, run: Propagation, name: str, role: str, tied: bool = False) -> Choice:
        size = run.sizes[name]
        if size == 0:
            return Choice(zeros(), role, "added to attention logits")
        why = "also the head: its outputs get second moment 1" if tied else f"RMS {size:g}"
        why = self.parameters.through(name, why)
        return Choice(normal(std=size), role, why, axes=self._axes(name))

    def _weight(self, weight: WeightScale, use: Use, read: str, reason: str) -> Choice:
        scale = round_size(weight.scale)
        drawn: Initializer = variance_scaling(scale, "fan_in", "normal")
        if use.fans is not None:  # the axes cannot say them
            fan_in = use.fan_in(self.params[use.name].shape)
            drawn = normal(std=math.sqrt(scale / fan_in))
        role = role_of(use.axes, self.params[use.name].shape)
        output = None if weight.free else weight.target  # the model's own, with gains behind it
        why = of_weight(weight, use, read, reason)
        return Choice(drawn, role, why, use.axes, output, averaged=weight.averaged)
