"""Chains: the runs of weights between normalizations, and the branches of residual networks."""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fanin.checks._streams import list_own_nodes, residuals, stream_nodes, streams
from fanin.graph import Graph, Node, NodeSet, Structure, having

# What a gradient has built-in reasons to change at: normalizations, attention, gates. A chain ends
# there.
_BREAKS = having("breaks")
# And these: averages, and choices of positions or units. A long chain goes on through them.
GATHERS = having("window", "reduces")


@dataclass(frozen=True, slots=True)
class WeightUse:
    """One use of a weight: its node, the node of its output with the bias, and its place.

    `parents` are the uses whose outputs feed it, through functions alone; `chain` numbers the
    first of them all, `depth` counts from there.
    """

    node: int
    output: int
    name: str
    width: int
    parents: tuple[int, ...]
    chain: int
    depth: int


class Chains:
    """The uses of weights of a run, and the paths through them.

    `train` says whether batch normalizations work as such: in eval mode they are none. `through`
    lets no normalization end a chain; `long` lets it go on through averages, pieces, concatenations
    and products with what no weight made. Nodes that are `derived`, of a derivative that the model
    takes itself, belong to none.
    """

    def __init__(
        self,
        graph: Graph,
        sized: Collection[int],
        *,
        train: bool,
        through: bool = False,
        long: bool = False,
        derived: Collection[int] = (),
    ) -> None:
        self.graph = graph
        self.train = train
        self.through = through
        self.long = long
        self.derived = derived
        self.structure = Structure(graph)
        self.streams = streams(graph.nodes, self.structure)
        self._sized = sized  # nodes whose output was measured
        self._functions = _find_own_functions(graph.nodes)
        self._on_streams = set(stream_nodes(graph.nodes, self.structure))
        self._weights = graph.where(lambda node: node.op in having("weight"))
        self._varying = self._weights | graph.where(
            lambda node: node.op == "input" and "integers" not in node.flags
        )
        # Without inputs, a product is of the model's own making: a spectral norm's power iteration.
        self._given = graph.where(lambda node: node.op in ("input", "lookup"))
        self.latest: list[tuple[int, ...]] = []  # of every node: the uses of weights that feed it
        self.uses: list[WeightUse] = []
        for position in range(len(graph.nodes)):
            self.latest.append(self._step(position))

    def ends_at(self, position: int) -> bool:
        """Whether no chain goes on through a node."""
        node = self.graph.nodes[position]
        if node.op == "normalize" and (self.through or (node.over == "batch" and not self.train)):
            return False
        if not self.long and (node.op in GATHERS or node.op == "concat"):
            return position not in self._functions
        if node.op == "view" and "part" in node.flags:
            return not self.long
        if self.long and node.op in ("mul", "matmul") and len(self.find_made_by_weights(node)) < 2:
            return False
        return node.op in _BREAKS and position not in self._functions

    def _varies(self, product: Node, factors: Collection[int]) -> bool:
        """Whether what is multiplied with these factors is more than a constant or a mask."""
        others = [factor for factor in product.inputs if factor not in factors]
        return not others or any(self.structure.up_to(other) & self._varying for other in others)

    def find_made_by_weights(self, node: Node) -> list[int]:
        """The inputs of a node that a weight made; others are data, constants or parameters."""
        return [factor for factor in node.inputs if self.structure.up_to(factor) & self._weights]

    def _step(self, position: int) -> tuple[int, ...]:
        node = self.graph.nodes[position]
        if position in self.derived:
            return ()
        fed = [] if self.ends_at(position) else [self.latest[source] for source in node.inputs]
        uses = tuple(dict.fromkeys(use for several in fed for use in several))
        fed_by_inputs = self.structure.above[position] & self._given
        if node.op == "linear" and node.param is not None and fed_by_inputs:
            self.uses.append(self._use_of(position, node, node.param.name, uses))
            uses = (len(self.uses) - 1,)
        return () if position in self._on_streams else uses

    def _use_of(self, position: int, node: Node, name: str, parents: tuple[int, ...]) -> WeightUse:
        before = max((self.uses[use] for use in parents), key=lambda use: use.depth, default=None)
        return WeightUse(
            position,
            output_of(self.graph.nodes, position, self._sized),
            name,
            width(node),
            parents,
            len(self.uses) if before is None else before.chain,
            0 if before is None else before.depth + 1,
        )

    @cached_property
    def heads(self) -> set[int]:
        """The uses of weights whose output is the model's, or is differentiated there."""
        nodes = self.structure.heads
        found = {at for at, use in enumerate(self.uses) if use.node in nodes}
        if self.derived:
            found |= set(range(len(self.uses))) - {up for use in self.uses for up in use.parents}
        return found

    def is_derived(self, path: Sequence[int]) -> bool:
        """Whether the model takes a derivative of what a path leads to."""
        above = self.structure.above
        return any(self.uses[path[-1]].node in above[at] for at in self.derived)

    @cached_property
    def paths(self) -> list[tuple[int, ...]]:
        """For every use that feeds no other, the longest path to it from where its chain begins.

        Heads are left out: a readout may be of any size.
        """
        inner = [at for at in range(len(self.uses)) if at not in self.heads]
        feeding = {parent for at in inner for parent in self.uses[at].parents}
        return [self.path(at) for at in inner if at not in feeding]

    @cached_property
    def children(self) -> list[list[int]]:
        """Of every use: those that it feeds, heads too."""
        found: list[list[int]] = [[] for _ in self.uses]
        for at, use in enumerate(self.uses):
            for parent in use.parents:
                found[parent].append(at)
        return found

    def path(self, use: int) -> tuple[int, ...]:
        """The uses from where a chain begins to this one."""
        found = [use]
        while parents := self.uses[found[-1]].parents:
            found.append(max(parents, key=lambda use: self.uses[use].depth))
        return tuple(reversed(found))

    def between(self, parent: int, use: int) -> list[int]:
        """The nodes on the way from the one use to the other, which it feeds; the latest first."""
        nodes, at = self.graph.nodes, self.uses[use].node
        found: list[int] = []
        while True:
            fed = (source for source in nodes[at].inputs if parent in self.latest[source])
            at = next(fed, self.uses[parent].node)
            if at == self.uses[parent].node:
                return found
            found.append(at)

    @cached_property
    def in_branches(self) -> set[int]:
        """The uses of weights inside of a residual branch."""
        inside = NodeSet()
        for branch in residuals(self.graph.nodes, self.structure).values():
            inside |= list_own_nodes(self.structure, branch)
        return {at for at, use in enumerate(self.uses) if use.node in inside}

    @cached_property
    def owners(self) -> list[int | None]:
        """Of every node: the use whose output it is a function of, normalized or not."""
        found: list[int | None] = []
        starts = {use.node: at for at, use in enumerate(self.uses)}
        passed = having("affine", "norm", "carries", "function", "window")
        for position, node in enumerate(self.graph.nodes):
            if position in starts:
                found.append(starts[position])
            elif node.op in passed | {"add"} and node.inputs:
                known = [found[source] for source in node.inputs if found[source] is not None]
                found.append(known[-1] if known else None)
            else:
                found.append(None)
        return found

    def gates(self, position: int) -> bool:
        """Whether an activation is multiplied with another one: it opens or closes it."""
        return any(
            user not in self._functions and self._varies(self.graph.nodes[user], seen)
            for user, seen in self._products(position)
        )

    def is_factor(self, position: int) -> bool:
        """Whether an activation is multiplied with what it is a function of, as in x * sigmoid(x).

        The product is steep where the activation is flat.
        """
        return any(
            _see_through_scaling(self.graph.nodes, source) in self.structure.above[position]
            for user, _ in self._products(position)
            if user in self._functions
            for source in self.graph.nodes[user].inputs
        )

    def _products(self, position: int) -> Iterator[tuple[int, set[int]]]:
        """The products that an activation comes to through functions, and what it is till then."""
        users = self.structure.users
        front, seen = [position], {position}
        while front:
            for user in users[front.pop()]:
                node = self.graph.nodes[user]
                if node.op == "mul":
                    yield user, seen
                if node.op in ("view", "pointwise", "dropout") and user not in seen:
                    seen.add(user)
                    front.append(user)


def output_of(nodes: Sequence[Node], position: int, sized: Collection[int]) -> int:
    """The node that ends a weight's own work: its bias, and what was computed with it at once."""
    last = end = position
    while last + 1 < len(nodes) and nodes[last + 1].inputs[:1] == (last,):
        last += 1
        node = nodes[last]
        if node.op == "view" and not node.flags:  # as of a program that is mapped over a batch
            continue
        if node.op != "shift" and not (node.op == "scale" and end not in sized):
            break
        end = last
    return end if end in sized else position


def width(node: Node) -> int:
    """The number of units of a weight's output."""
    channels = "convolution" in node.flags and len(node.shape) > 2
    return max(node.shape[1] if channels else node.shape[-1], 1) if node.shape else 1


def _find_own_functions(nodes: Sequence[Node]) -> set[int]:
    """Products that are no gates, but a function of one activation: x * sigmoid(x)."""
    bases: list[int] = []
    found = set()
    for position, node in enumerate(nodes):
        sources = {bases[source] for source in node.inputs if nodes[source].op != "buffer"}
        alone = node.op in ("pointwise", "mul", "add", "dropout") and len(sources) == 1
        bases.append(sources.pop() if alone else position)
        if alone and node.op == "mul":
            found.add(position)
    return found


def _see_through_scaling(nodes: Sequence[Node], position: int) -> int:
    """The node that a node is a multiple of, moved or shifted."""
    while len(set((node := nodes[position]).inputs)) == 1:
        if node.op not in ("view", "dropout") and not (node.op == "pointwise" and is_affine(node)):
            break
        position = node.inputs[0]
    return position


def is_affine(node: Node) -> bool:
    """Whether a function only scales and shifts."""
    if node.fn is None:
        return True
    points = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    with np.errstate(all="ignore"):
        values = np.asarray(node.fn(*[points] * len(node.inputs)), float)
    if values.shape != points.shape:
        return True
    steps = np.diff(values)
    return bool(np.allclose(steps, steps[0], rtol=1e-6, atol=1e-12))


def ratio(a: float, b: float) -> float:
    """The larger over the smaller; infinite where one alone is zero."""
    low, high = sorted((a, b))
    return high / low if low > 0 else math.inf if high > 0 else 1.0
