"""Products: how large the two sides of sums of products are to be, where neither is an average."""

import math
from collections.abc import Iterator, Mapping

from fanin.graph import InnerProduct, Structure, inner_products
from fanin.recipes._propagate import Propagation
from fanin.recipes._targets import KnownTarget


class Products:
    """`uses` are the nodes at which each parameter works; `rows` the RMS of tables in products.

    Scores of pairs get second moment HEAD, and tables in products act as weights do. A weight
    that the model makes of other activations has variance 1 / fan_in, as one of its own would
    have, with its fan_in and what it multiplies: hyperfan-in of Chang et al. 2020, section 4.
    """

    def __init__(self, structure: Structure, uses: Mapping[str, list[int]]) -> None:
        self.structure, self.graph, self.uses = structure, structure.graph, uses
        self.rows: dict[str, float] = {}
        self._found = list(inner_products(self.graph, structure))
        self.made: dict[int, InnerProduct] = {}

    def targets(self, taken: Mapping[int, float]) -> Iterator[KnownTarget]:
        """Of the weights in products, but of those whose target is known already.

        What makes a weight is sized for that, whatever else it makes beside it.
        """
        for product in self._found:
            for end, terms in self._size(product):
                use = self.graph.nodes[end].param
                both = {each for side in product.ends for each in side}
                if use is None or not both.issuperset(self.uses[use.name]):
                    continue
                if end in taken and product.made is None:
                    continue
                if product.made is not None:
                    self.made[end] = product
                    yield end, 1 / terms, f"makes weights of {terms:.4g} inputs"
                elif self._is_row(end):
                    self.rows[use.name] = math.sqrt(1 / terms)
                else:
                    yield end, 1 / terms, f"one side of sums of {product.terms:.4g} products"

    def _size(self, product: InnerProduct) -> Iterator[tuple[int, float]]:
        """The ends of a product that are sized by it, and of how many terms each takes care."""
        sides = [side for side in product.ends if side]
        sized = [side for side in sides if all(map(self._is_weight, side))]
        if product.made is not None:
            sized = [product.ends[product.made]]
        elif not product.scores:
            rows = [side for side in sides if all(map(self._is_row, side))]
            sized = rows if product.op == "matmul" and len(rows) == 1 else []
        for side in sized:
            for end in side:
                yield end, product.terms ** (1 / len(sized))

    def fit(self, run: Propagation, targets: dict[int, float]) -> bool:
        """Make up for what made weights multiply in this run; whether that changed a target."""
        changed = False
        for end, product in self.made.items():
            assert product.made is not None
            fed = run.signals[product.sides[1 - product.made]]
            if fed is not None and fed.second > 0:
                wanted = 1 / (product.terms * fed.second)
                changed |= not math.isclose(wanted, targets[end], rel_tol=1e-3)
                targets[end] = wanted
        return changed

    def _is_weight(self, position: int) -> bool:
        return self.graph.nodes[position].op == "linear" or self._is_row(position)

    def _is_row(self, position: int) -> bool:
        """Whether a node gives a parameter's own elements."""
        return self.graph.nodes[position].op in ("lookup", "parameter")
