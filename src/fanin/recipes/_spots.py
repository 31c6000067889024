"""Spots: what every parameter is in a transformer or a residual network, told by the graph."""

from dataclasses import dataclass, field
from functools import cached_property

from fanin.graph import Graph, Logits, Structure, find_decays, having, logits_of
from fanin.recipes._attending import find_projections
from fanin.recipes._branches import (
    ResidualStream,
    find_ends,
    find_inside,
    find_reading,
    find_streams,
)
from fanin.recipes._modulated import find_conditions, find_coupling, find_modulating
from fanin.recipes._sines import sines
from fanin.recipes._splines import find_splines, measure

_SHIFTED = having("carries", "function") | {"shift"}
_TABLES = {"lookup": "embedding", "shift": "position", "parameter": "token"}
TIMES = frozenset({"decay", "steps"})  # of what a recipe decides even where it was made on purpose
_COUNTED = ("layer", "layers", "branches", "encoder", "decoder")


@dataclass(slots=True)
class Spot:
    """Words for what a parameter is, and the numbers of its stream.

    Words: of weights "head", "attention" or "mlp" of a residual branch, "end" of one, "query",
    "key", "value", "gate", "up"; of tables "embedding", "tied", "position", "token", "relative";
    of weights that sines read "sine", "first" with no weight before; "modulation" of one whose
    parts scale other activations, "condition" of those before it; "coupling" of one whose parts
    scale and shift what does not come from it; "single" of a head of one output; "decay" of
    logarithms of rates that act for a softplus, "steps" of what that reads; "spline" of
    coefficients of functions of each feature, and of scales of such sums, "base" of what
    multiplies one function of it beside them, "measured" where these functions are; of
    scales "norm",
    "last" (at the end of a branch), "scalar" (of one, behind no norm); "branch" of all in a
    residual branch; there "encoder" or "decoder", too, where one stream reads another. Numbers:
    the layer, counted from 1, and how many there are; the branches of the stream and, but of
    maps, its width, "stream"; the layers of encoder and decoder; "size" of
    the heads, of projections; "omega", the factor in a sine; "features", "units", "basis",
    "square" and "slope" of splines (see `SplineLayer`). A bias has its weight's words, too.
    """

    words: set[str] = field(default_factory=set)
    numbers: dict[str, float] = field(default_factory=dict)


class Spots:
    """The spots of all parameters of a run; with `measures` of functions of splines, too."""

    def __init__(self, graph: Graph, *, measures: bool = False) -> None:
        self.graph, self.structure = graph, Structure(graph)
        self.streams = find_streams(self.structure)
        self.reading = find_reading(self.structure, self.streams)
        self._found: dict[str, Spot] = {}
        for stream in self.streams:
            self._mark_branches(stream)
        self._mark_elements()
        self._mark_attentions()
        self._mark_gates()
        self._mark_heads()
        self._mark_sines()
        self._mark_splines(measures)
        self._mark_modulations()
        self._mark_times()
        self._mark_biases()

    @cached_property
    def main(self) -> ResidualStream | None:
        """The stream with most branches; None where there is none."""
        return max(self.streams, key=lambda stream: len(stream.branches), default=None)

    @cached_property
    def logits(self) -> list[Logits]:
        """All attention logits."""
        return list(logits_of(self.structure))

    @property
    def times(self) -> set[str]:
        """The parameters that are decay rates or time steps."""
        return {name for name, spot in self._found.items() if spot.words & TIMES}

    @cached_property
    def words(self) -> frozenset[str]:
        """All words that any parameter has."""
        return frozenset().union(*(spot.words for spot in self._found.values()))

    def find(self, name: str) -> Spot:
        """The place of a parameter; its numbers are the main stream's where it is in no branch."""
        spot = self._found.get(name, Spot())
        numbers = self._count(self.main) if self.main else dict.fromkeys(_COUNTED, 1.0)
        return Spot(spot.words, numbers | spot.numbers)

    def _count(self, stream: ResidualStream) -> dict[str, float]:
        encoder, decoder = self.reading or (stream, stream)
        counts = (1, stream.layers, len(stream.branches), encoder.layers, decoder.layers)
        numbers = dict(zip(_COUNTED, map(float, counts), strict=True))
        ends = self.structure.ends(stream.first)
        if any("convolution" in self.graph.nodes[end].flags for end in ends):
            return numbers
        return numbers | {"stream": float(self.graph.nodes[stream.first.node].shape[-1])}

    def _mark_branches(self, stream: ResidualStream) -> None:
        sides = dict(zip(map(id, self.reading or ()), ("encoder", "decoder"), strict=False))
        side = {sides[id(stream)]} if id(stream) in sides else set()
        for residual in stream.branches:
            inside = find_inside(self.structure, self.streams, residual)
            kind = "attention" if residual.node in stream.attentions else "mlp"
            layer = {"layer": float(stream.layer(residual.node))}
            for node in inside:
                if self._is_free(node):
                    spot = self._spot(node)
                    spot.words |= {"branch", kind} | side
                    spot.numbers |= self._count(stream) | layer
            for node in find_ends(self.structure, residual, inside):
                if self.graph.nodes[node].op == "scale":
                    normed = self._is_norm(node)
                    self._spot(node).words.add("last" if normed else "scalar")
                elif self.graph.nodes[node].op == "linear":
                    self._spot(node).words.add("end")

    def _is_free(self, node: int) -> bool:
        """Whether a node has a parameter that is in no branch yet: one within a branch is first."""
        use = self.graph.nodes[node].param
        return use is not None and not self._found.get(use.name, Spot()).numbers

    def _mark_elements(self) -> None:
        """Tables, tokens, and the scales of norms."""
        for position, node in enumerate(self.graph.nodes):
            if node.param is None:
                continue
            if node.op in _TABLES:
                bias = node.op == "lookup" and self.structure.feeds_softmax(position)
                self._spot(position).words.add("relative" if bias else _TABLES[node.op])
            elif node.op == "linear" and "embedding" in self._spot(position).words:
                self._spot(position).words.add("tied")
            elif node.op == "scale" and self._is_norm(position):
                self._spot(position).words.add("norm")

    def _mark_attentions(self) -> None:
        nodes = self.graph.nodes
        for logits in self.logits:
            for word, side in (("query", logits.query), ("key", logits.key)):
                self._mark_projections(side, word, logits.terms)
        for node in nodes:
            if node.op == "attention":
                self._mark_projections(node.inputs[2], "value", nodes[node.inputs[2]].shape[-1])
            elif node.op == "matmul":
                for weights, values in (node.inputs, node.inputs[::-1]):
                    if self.structure.averages(weights):
                        self._mark_projections(values, "value", nodes[values].shape[-1])

    def _mark_projections(self, side: int, word: str, width: int) -> None:
        """The weights that an operand of an attention comes from, norms and rotations between."""
        for position in find_projections(self.structure, side):
            self._spot(position).words.add(word)
            self._spot(position).numbers.setdefault("size", float(width))

    def _mark_gates(self) -> None:
        """Of a product of f(a) and b, the weights that make a, the gate, and b."""
        for node in self.graph.nodes:
            if node.op != "mul":
                continue
            paths = [list(self.structure.back(source, _SHIFTED)) for source in node.inputs]
            functions = [any(self._is_function(at) for at in path) for path in paths]
            ends = [path[-1] for path in paths]
            if sum(functions) == 1 and all(self._is_weight(end) for end in ends):
                gate = functions.index(True)
                self._spot(ends[gate]).words.add("gate")
                self._spot(ends[1 - gate]).words.add("up")

    def _mark_heads(self) -> None:
        for head in self.structure.heads:
            single = {"single"} if self.graph.nodes[head].shape[-1] == 1 else set()
            self._spot(head).words.update({"head"} | single)

    def _mark_sines(self) -> None:
        """Weights that sines of k z read; heads have the largest k of the model."""
        read = sines(self.graph, self.structure.users, lambda node: None)
        found = {position: factor for position, factor in read if factor}
        for position, factor in found.items():
            first = {"first"} if self.structure.reads_input(position) else set()
            self._spot(position).words.update({"sine"} | first)
            self._spot(position).numbers["omega"] = abs(factor)
        largest = max(map(abs, found.values()), default=1.0)
        for head in self.structure.heads:
            self._spot(head).numbers.setdefault("omega", largest)

    def _mark_splines(self, measures: bool) -> None:
        """Weights, coefficients and scales of a layer of splines."""
        for layer in find_splines(self.structure):
            for position, word, node in (
                (layer.weight, "base", layer.function),
                (layer.coefficients, "spline", layer.basis),
                *((scale, "spline", None) for scale in layer.scales),
            ):
                told = {} if node is None or not measures else measure(node)
                self._spot(position).words.update({word} | ({"measured"} if told else set()))
                self._spot(position).numbers.update(layer.numbers | told)

    def _mark_modulations(self) -> None:
        for position in find_coupling(self.structure):
            self._spot(position).words.add("coupling")
        modulating = find_modulating(self.structure)
        for position in find_conditions(self.structure, modulating):
            self._spot(position).words.add("condition")
        for position in modulating:
            self._spot(position).words.add("modulation")
            self._spot(position).words.discard("condition")

    def _mark_times(self) -> None:
        for position, steps in find_decays(self.structure):
            self._spot(position).words.add("decay")
            for step in steps:
                self._spot(step).words.add("steps")

    def _mark_biases(self) -> None:
        """Biases are what their weights are."""
        for position, node in enumerate(self.graph.nodes):
            if node.op == "shift" and node.param is not None and "units" in node.flags:
                weight = self.graph.behind(node.inputs[0])
                if self._is_weight(weight):
                    self._spot(position).words.update(self._spot(weight).words)

    def _is_function(self, position: int) -> bool:
        return self.graph.nodes[position].op == "pointwise"

    def _is_weight(self, position: int) -> bool:
        node = self.graph.nodes[position]
        return node.op == "linear" and node.param is not None

    def _is_norm(self, position: int) -> bool:
        """Whether a scale is a norm's own."""
        source = self.graph.behind(self.graph.nodes[position].inputs[0])
        return self.graph.nodes[source].op == "normalize"

    def _spot(self, position: int) -> Spot:
        use = self.graph.nodes[position].param
        assert use is not None
        return self._found.setdefault(use.name, Spot())
