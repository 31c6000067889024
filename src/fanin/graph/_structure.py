"""Structure: residual streams, attention logits and heads, found in a Graph; no names are read."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import permutations
from operator import or_

import numpy as np

from fanin.graph._graph import CARRIERS, Graph, Node
from fanin.graph._lines import second_input
from fanin.graph._mixtures import find_mixing
from fanin.graph._operations import having
from fanin.graph._sets import NodeSet, reach

# Operations that an activation passes without meeting a weight or another activation.
_PASSED = having("carries", "function", "window", "reduces")
# What a stream keeps its identity through, so that a chain of residual additions goes on.
_STREAM = _PASSED | having("norm", "affine")

# What an operand may pass between the stream and the addition: blocks that halve the resolution
# pool their shortcut.
_KEPT = having("carries", "function", "window", "norm", "affine")

# What is between a sum and the softmax whose logits it becomes.
_TO_LOGITS = having("carries", "function") | {"add", "shift"}


@dataclass(frozen=True, slots=True)
class Residual:
    """An addition of a branch to a stream: `branch` and `stream` are the two operands."""

    node: int
    stream: int
    branch: int
    shortcut: bool  # the stream comes through a weight of its own: a chain begins here
    read: int  # what the branch reads of the stream, before branches beside it were added


@dataclass(frozen=True, slots=True)
class Chain:
    """A residual stream: how many branches are added to it, and the node where it begins.

    Behind a norm on the stream, as in post-norm blocks, it begins anew in size. `first` is the
    first of its additions.
    """

    length: int
    start: int
    first: int


class Structure:
    """What the shape of a graph tells."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.users = graph.users()
        self.above: list[NodeSet] = []  # ancestors of every node
        for node in graph.nodes:
            sets = (self.up_to(source) for source in node.inputs)
            self.above.append(reduce(or_, sets, NodeSet()))
        self._weights = graph.where(lambda node: node.op in having("weight"))
        self._sums = graph.where(lambda node: node.op == "sum" and (node.count or 1) > 1)
        self._norms = graph.where(lambda node: node.op == "normalize")

    def back(self, position: int, ops: Collection[str]) -> Iterator[int]:
        """The node, and those behind it through operations of these kinds with one input."""
        while True:
            yield position
            node = self.graph.nodes[position]
            shown = self.graph.see_through(position)
            if shown is None and (node.op not in ops or second_input(node) or not node.inputs):
                return
            position = node.inputs[0] if shown is None else shown

    @cached_property
    def mixing(self) -> set[int]:
        """The additions by which gates and parameters mix activations."""
        return find_mixing(self.graph)

    @cached_property
    def residuals(self) -> dict[int, Residual]:
        """Every addition of a branch to a stream, by its node."""
        finders = {"add": self._residual, "shift": self._residual_of_parameter}
        found: dict[int, Residual] = {}
        for position, node in enumerate(self.graph.nodes):
            if position in self.mixing:
                continue
            residual = finders[node.op](position, found) if node.op in finders else None
            if residual is not None:
                found[position] = residual
        return found

    def _residual_of_parameter(
        self, position: int, found: Mapping[int, Residual]
    ) -> Residual | None:
        """A branch added to a parameter that is its stream: a class token of its own."""
        node = self.graph.nodes[position]
        (branch,) = node.inputs
        name = node.param.name if node.param else ""
        for source in self._parameter_streams.get(name, ()):
            if source in self.above[branch]:
                return Residual(position, source, branch, shortcut=False, read=source)
        return None

    @cached_property
    def _parameter_streams(self) -> dict[str, list[int]]:
        """The nodes of parameters that may be streams: of three axes and more, as no decay rate."""
        found: dict[str, list[int]] = {}
        for position, node in enumerate(self.graph.nodes):
            if node.op == "parameter" and node.param is not None and len(node.shape) >= 3:
                found.setdefault(node.param.name, []).append(position)
        return found

    def _residual(self, position: int, found: Mapping[int, Residual]) -> Residual | None:
        a, b = self.graph.nodes[position].inputs
        if a == b or self.feeds_softmax(position):
            return None
        for stream, branch in ((a, b), (b, a)):
            if self._modulates(stream, branch):
                return None
            inside = self.up_to(branch)
            for read in self._before_branches(stream, found):
                if self._is_read(read, inside):
                    own = inside - self.up_to(read)
                    if own & self._weights or self._starts_with_norm(read, own):
                        return Residual(position, stream, branch, shortcut=False, read=read)
                    return None
        if self.graph.nodes[a].shape != self.graph.nodes[b].shape:
            return None
        if not self.above[a] & self.above[b] & self._weights or self.joins_a_stream(position):
            return None
        mine, other = (self._weights_beyond(*pair) for pair in ((a, b), (b, a)))
        if not mine or not other or mine == other:
            return None
        stream, branch = (a, b) if mine < other else (b, a)
        return Residual(position, stream, branch, shortcut=True, read=stream)

    def _is_read(self, position: int, inside: NodeSet) -> bool:
        """Whether these nodes hold an activation, or all pieces that it is put together from."""
        path = list(self.back(position, _KEPT))
        if any(source in inside for source in path):
            return True
        end = self.graph.nodes[path[-1]]
        return end.op == "concat" and all(self._is_read(piece, inside) for piece in end.inputs)

    def _modulates(self, shift: int, product: int) -> bool:
        """Whether g h + b has g and b from one weight, as layers that modulate h have them."""
        nodes = self.graph.nodes
        path = list(self.back(shift, _KEPT))
        *_, end = self.back(product, _KEPT)
        if nodes[end].op != "mul" or not any("part" in nodes[at].flags for at in path):
            return False
        gates = [at for at in nodes[end].inputs if path[-1] in self.back(at, _KEPT)]
        return len(gates) == 1 and not any(
            path[-1] in self.up_to(at) for at in nodes[end].inputs if at not in gates
        )

    def _before_branches(self, stream: int, found: Mapping[int, Residual]) -> Iterator[int]:
        """The stream, and what it was before the branches that were added to it last."""
        while True:
            yield stream
            *_, end = self.back(stream, _KEPT)
            if end not in found or found[end].shortcut:
                return
            stream = found[end].stream

    def joins_a_stream(self, position: int) -> bool:
        """Whether a sum of branches is added to what all of them read."""
        inside = self.above[position]
        while len(self.users[position]) == 1:
            (user,) = self.users[position]
            node = self.graph.nodes[user]
            if node.op == "add":
                other = next((item for item in node.inputs if item != position), position)
                return any(source in inside for source in self.back(other, _KEPT))
            if node.op not in _KEPT or second_input(node):
                return False
            position = user
        return False

    def _starts_with_norm(self, stream: int, own: NodeSet) -> bool:
        """Whether a branch without weights is one all the same: a pool behind a norm, say."""
        sources = set(self.back(stream, CARRIERS | having("affine")))
        return any(
            user in own and self.graph.nodes[user].op == "normalize"
            for source in sources
            for user in self.users[source]
        )

    def feeds_softmax(self, position: int) -> bool:
        """Whether an activation becomes attention logits, or is added to them."""
        if not any(self._leads_to_softmax[user] for user in self.users[position]):
            return False

        def goes_on(source: int) -> Iterator[int]:
            reads = self.graph.nodes[source].op in _TO_LOGITS
            return iter(self.users[source] if reads or source == position else ())

        for reader in reach([position], goes_on):
            node = self.graph.nodes[reader]
            if reader != position and _is_softmax(node):
                return reader not in self.graph.outputs
        return False

    @cached_property
    def _leads_to_softmax(self) -> list[bool]:
        """Of every node, whether it is a softmax or becomes the input of one."""
        found = [_is_softmax(node) for node in self.graph.nodes]
        for position in range(len(found) - 1, -1, -1):
            if self.graph.nodes[position].op in _TO_LOGITS:
                found[position] = any(found[user] for user in self.users[position])
        return found

    def _weights_beyond(self, item: int, other: int) -> int:
        """How many weights the one has met that the other has not."""
        return len(self.between(other, item) & self._weights)

    @cached_property
    def chains(self) -> dict[int, Chain]:
        """The stream of every residual addition."""
        before = {node: self._previous(residual) for node, residual in self.residuals.items()}
        root: dict[int, int] = {}
        depth: dict[int, int] = {}
        start: dict[int, int] = {}
        for node, previous in before.items():  # in the order of the run
            root[node] = node if previous is None else root[previous]
            depth[node] = 1 if previous is None else depth[previous] + 1
            stream = self.residuals[node].stream
            begins = previous is None or self._is_normalized(stream, previous)
            start[node] = stream if begins or previous is None else start[previous]
        longest: dict[int, int] = {}
        for node, first in root.items():
            longest[first] = max(longest.get(first, 0), depth[node])
        return {node: Chain(longest[first], start[node], first) for node, first in root.items()}

    def _is_normalized(self, stream: int, previous: int) -> bool:
        """Whether a stream met a norm since the last addition to it: whatever it was, it is one."""
        for position in self.back(stream, _STREAM):
            node = self.graph.nodes[position]
            if position == previous:
                return False
            if node.op == "normalize" and node.over == "features":
                return True
        return False

    def _previous(self, residual: Residual) -> int | None:
        if residual.shortcut:
            return None
        start: int | None = residual.stream
        while start is not None:
            path = list(self.back(start, _STREAM))
            for position in path:
                if position in self.residuals:
                    return position
            start = self._stream_of(path[-1])
        return None

    def _stream_of(self, position: int) -> int | None:
        """The stream of an addition without weights: a pool beside the activation itself.

        Of a concatenation it is the piece that makes more than half: tokens beside it, say.
        """
        node = self.graph.nodes[position]
        if node.op == "concat":
            half = math.prod(node.shape) / 2
            return next(
                (at for at in node.inputs if math.prod(self.graph.nodes[at].shape) > half), None
            )
        if node.op != "add":
            return None
        a, b = node.inputs
        for stream, other in ((a, b), (b, a)):
            if stream in self.above[other]:
                return stream
        return None

    def up_to(self, position: int) -> NodeSet:
        """A node and its ancestors."""
        return self.above[position] | NodeSet((position,))

    def between(self, start: int, end: int) -> NodeSet:
        """A node and its ancestors, without another node and its ancestors."""
        return self.up_to(end) - self.up_to(start)

    def find_own_nodes(self, residual: Residual) -> NodeSet:
        """The nodes of a branch, without those of the stream that it reads."""
        return self.between(residual.read, residual.branch)

    def reads_normalized(self, residual: Residual) -> bool:
        """Whether a branch normalizes what it reads of the stream, before its first weight."""
        inside = self.find_own_nodes(residual)
        return any(not self.above[norm] & inside & self._weights for norm in inside & self._norms)

    def ends(self, residual: Residual) -> list[int]:
        """The nodes whose parameters set the size of a branch: weights, norm or layer scales."""
        return self.ends_at(residual.branch, self.find_own_nodes(residual))

    def sums_behind_ends(self, residual: Residual) -> bool:
        """Whether a branch sums over positions behind what sets its size."""
        inside, ends = self.find_own_nodes(residual), self.ends(residual)
        return any(any(end in self.above[item] for end in ends) for item in inside & self._sums)

    def terms(self, residual: Residual) -> list[list[int]]:
        """The ends of a branch, by the terms that are summed into it."""
        inside = self.find_own_nodes(residual)

        def sum_terms(position: int) -> list[int]:
            node = self.graph.nodes[position]
            passed = node.op in having("carries", "function") | {"shift"} and not second_input(node)
            sources = node.inputs if node.op == "add" else node.inputs[:1] if passed else ()
            return [source for source in sources if source in inside]

        terms = (item for item in reach([residual.branch], sum_terms) if not sum_terms(item))
        groups = (self.ends_at(term, inside) for term in terms)
        return [group for group in groups if group]

    def ends_at(self, position: int, within: NodeSet | None = None) -> list[int]:
        """The nodes whose parameters set the size of an activation, each once.

        With `within` those alone that only nodes of that set lie behind.
        """

        def sources(node: int) -> list[int]:
            found = reversed(self.towards_ends(node))
            return [item for item in found if within is None or item in within]

        return [item for item in reach([position], sources) if self._is_end(item)]

    def _is_end(self, position: int) -> bool:
        node = self.graph.nodes[position]
        if node.op == "scale":
            return not self._is_weight_norm(node.inputs[0])
        return node.op in ("linear", "lookup", "parameter")

    def towards_ends(self, position: int) -> Sequence[int]:
        """The inputs of a node that set its size, where no parameter of its own does."""
        node = self.graph.nodes[position]
        if self._is_end(position):
            return ()
        if node.op in ("add", "concat"):
            return node.inputs
        if node.op == "attention":
            return node.inputs[2:3]
        if node.op == "matmul":
            averages = [self.averages(source) for source in node.inputs]
            return (node.inputs[averages.index(True) - 1],) if any(averages) else ()
        if node.op == "mul":
            return (self._carry(node),)
        return node.inputs[:1] if node.op in _PASSED | {"scale", "shift"} else ()

    def _is_weight_norm(self, position: int) -> bool:
        use = self.graph.nodes[position].param
        return use is not None and "weight_norm" in use.through

    def _carry(self, node: Node) -> int:
        """The operand of a product that is not the gate: the larger, else the less transformed."""

        def rank(source: int) -> tuple[bool, int, int]:
            path = list(self.back(source, _PASSED | {"shift"}))
            functions = sum(self.graph.nodes[position].op == "pointwise" for position in path)
            size = int(np.prod(self.graph.nodes[source].shape, dtype=object))
            return self.graph.nodes[path[-1]].op in ("buffer", "softmax"), -size, functions

        return min(node.inputs, key=rank)

    def averages(self, position: int) -> bool:
        """Whether an activation is what a softmax gives: the weights of an average."""
        path = self.back(position, having("carries", "function"))
        return any(self.graph.nodes[item].op == "softmax" for item in path)

    def reads_input(self, position: int) -> bool:
        """Whether no weight is before this one."""
        return not self.above[position] & self._weights

    @cached_property
    def heads(self) -> set[int]:
        """Weights whose output is the model's, with nothing but biases and functions behind."""
        behind = _PASSED | having("affine")
        found, waiting = set[int](), list(self.graph.outputs)
        while waiting:
            new = [item for item in self.back(waiting.pop(), behind) if item not in found]
            found.update(new)
            waiting += [end for item in new for end in self._read_alone(item, behind)]
        return {position for position in found if self.graph.nodes[position].op == "linear"}

    def _read_alone(self, position: int, behind: Collection[str]) -> list[int]:
        """What a softmax is of; or x, of x beside a function of x: logits less what they sum to."""
        node = self.graph.nodes[position]
        pairs = permutations(node.inputs, 2) if node.op in ("add", "mul", "pointwise") else ()
        of_itself = [x for x, other in pairs if x in self.back(other, behind)]
        return [node.inputs[0]] if node.op == "softmax" else of_itself[:1]


def _is_softmax(node: Node) -> bool:
    return node.op == "softmax" and "logarithm" not in node.flags
