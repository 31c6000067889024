"""Sizes: what the parameters that are no weights are in a run, and how large they are to be."""

import math
from collections.abc import Collection, Mapping

from fanin.graph import Graph, Structure, Use
from fanin.recipes._acting import fit_std, invert_line, size_of
from fanin.recipes._digits import round_size
from fanin.recipes._recipe import Params
from fanin.recipes._uses import has_rows

HEAD = 1.0  # second moment of a head's output
FAINT = 3e-3  # its square is about what norms add to a variance
# What all branches of a stream together add to its second moment, of what it has: branches that
# normalize what they read, and those that read the stream as it is.
BRANCH, RAW_BRANCH = 3.0, 0.75
TABLE = 1.0  # RMS of tables of embeddings and positions, and of class tokens


class Sizes:
    """`uses` are the nodes at which each parameter works."""

    def __init__(
        self, params: Params, graph: Graph, structure: Structure, uses: Mapping[str, list[int]]
    ) -> None:
        self.params, self.graph, self.structure, self.uses = params, graph, structure, uses
        self.shapes = {name: param.shape for name, param in params.items()}

    def size(self, name: str, ops: Collection[str], tied: Mapping[int, float]) -> float | None:
        """The RMS of a table, a token, a scale or a shift; None for weights and biases.

        A table that is also the head gives the head's outputs second moment HEAD. What is
        added to its rows, such as positions, is as large.
        """
        param, position = self.params[name], self.uses[name][0]
        table = "parameter" in ops or ("shift" in ops and self.is_table(name))
        if "linear" in ops and "lookup" not in ops:
            return None
        if param.kind == "scale" and set(ops) == {"parameter"}:  # the slope of an activation
            return param.constant or 0.0
        if "lookup" in ops or table:
            if self.structure.feeds_softmax(position):
                return 0.0
            return self.std(name, tied.get(param.shape[-1], TABLE))
        if "scale" in ops and self.is_filter(name):
            return self.std(name, 1.0)
        if "scale" in ops:
            drawn = param.constant is None or self.is_faint(name)
            return self.identity(name) if drawn else param.constant
        return None

    def use(self, name: str) -> Use:
        use = self.graph.nodes[self.main(name)].param
        assert use is not None
        return use

    def std(self, name: str, size: float) -> float:
        """The std with which a drawn parameter acts with this RMS, functions of it included."""
        use = self.use(name)

        def acts(std: float) -> float | None:
            return size_of(use, self.shapes, std)

        std = fit_std(acts, size, size) if use.through else size
        return size if std is None else round_size(std)

    def identity(self, name: str) -> float:
        return invert_line(self.use(name), self.shapes, 1.0)

    def is_filter(self, name: str) -> bool:
        """Whether a factor was not made constant, but drawn, as weights are.

        It has more than one axis, or makes all features of one number.
        """
        sources = self.graph.nodes[self.uses[name][0]].inputs
        normed = any(self.graph.nodes[source].op == "normalize" for source in sources)
        drawn = self.params[name].constant is None and not normed
        return drawn and (self.is_table(name) or self._is_outer(self.uses[name][0]))

    def _is_outer(self, position: int) -> bool:
        """Whether a node has every product of what it reads and of a parameter: sums of one."""
        node = self.graph.nodes[position]
        assert node.param is not None
        own, made = math.prod(self.shapes[node.param.name]), math.prod(node.shape)
        while own > 1 and node.op in ("scale", "view") and node.inputs:
            node = self.graph.nodes[node.inputs[0]]
            if math.prod(node.shape) * own == made:  # before it was repeated
                return True
        return False

    def is_faint(self, name: str) -> bool:
        """Whether a scale was made nearly zero, as layers' scales are, where no stream goes by."""
        made, positions = self.params[name].constant or 0.0, self.uses[name]
        if self.use(name).through or not 0 < abs(made) < FAINT:
            return False
        if any(map(self.structure.joins_a_stream, positions)):
            return False  # of a branch without weights: a pool
        branches = map(self.structure.find_own_nodes, self.structure.residuals.values())
        return not any(position in branch for branch in branches for position in positions)

    def through(self, name: str, why: str) -> str:
        """A reason, and the functions that a parameter acts through."""
        through = self.use(name).through
        return f"{why}; acts through {', '.join(through)}" if through else why

    def why_scale(self, name: str, size: float) -> str:
        """The reason for the value of a scale that ends no branch."""
        if size != self.identity(name):
            return "the constant that the model was made with"
        if self.is_faint(name):
            made = self.params[name].constant
            return f"the identity, not {made:g} as made: no residual stream passes beside it"
        return "the identity"

    def is_codebook(self, name: str) -> bool:
        """Whether products with a table decide which of its rows are looked up."""
        chosen = [self.structure.above[position] for position in self.uses_as(name, "lookup")]
        products = self.uses_as(name, "linear")
        return all(any(product in above for above in chosen) for product in products)

    def uses_as(self, name: str, *ops: str) -> list[int]:
        return [item for item in self.uses[name] if self.graph.nodes[item].op in ops]

    def is_table(self, name: str) -> bool:
        """Whether a parameter has rows, and is no bias of heads of several units."""
        nodes = [self.graph.nodes[item] for item in self.uses[name]]
        if all(node.op == "shift" and "units" in node.flags for node in nodes):
            return False
        return has_rows(self.params[name], nodes)

    def main(self, name: str) -> int:
        """The use that says what a parameter is."""
        rows, products = self.uses_as(name, "lookup"), self.uses_as(name, "linear")
        return (*rows, *products, *self.uses[name])[0]


def rms_of_tied(width: int, second: float) -> float:
    """The RMS of a table that is also a head, with outputs of second moment HEAD."""
    return round_size(math.sqrt(HEAD / (max(width, 1) * second)))
