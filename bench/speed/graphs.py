"""Whether what comes behind the trace is linear in the nodes of a graph: structure and recipe.

    python -m bench.speed.graphs [--nodes 1000 10000 100000] [--rounds 3]

A chain of linear layers and rectifiers, and residual blocks of six nodes, made without a
model. CPU time of the process, medians; the exponent is that between one size and the last.
"""

import argparse
import math
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.speed.timing import alternate
from fanin.axes import Axes
from fanin.graph import Graph, Node, Use
from fanin.graph._structure import Structure
from fanin.param import Param
from fanin.recipes import find

WIDTH = 256


class Maker:
    """Nodes one behind another, and the parameters that they use."""

    def __init__(self) -> None:
        self.nodes = [Node("input", (), (8, WIDTH), "")]
        self.params: dict[str, Param] = {}

    def linear(self, source: int) -> int:
        """A weight on a node."""
        name = f"layers.{len(self.nodes)}.weight"
        axes = Axes(("out", "in"))
        self.params[name] = Param(name, (WIDTH, WIDTH), "float32", "linear", "Linear", axes)
        return self._add(Node("linear", (source,), (8, WIDTH), name, param=Use(name, axes)))

    def rectify(self, source: int) -> int:
        """The positive part of a node."""
        shape = (8, WIDTH)
        made = Node(
            *("pointwise", (source,), shape, ""),
            fn=lambda x: np.maximum(x, 0),
            label="relu",
            function="relu",
        )
        return self._add(made)

    def normalize(self, source: int) -> int:
        """A node with rows of RMS one."""
        return self._add(Node("normalize", (source,), (8, WIDTH), "", label="rms_norm"))

    def add(self, a: int, b: int) -> int:
        """The sum of two nodes."""
        return self._add(Node("add", (a, b), (8, WIDTH), "", label="add"))

    def _add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1


def chain(count: int) -> Maker:
    """Linear layers and rectifiers in turn."""
    maker, last = Maker(), 0
    while len(maker.nodes) < count:
        last = maker.rectify(maker.linear(last))
    return maker


def residual(count: int) -> Maker:
    """Blocks behind norms, each added to one stream."""
    maker = Maker()
    stream = maker.linear(0)
    while len(maker.nodes) < count:
        inside = maker.rectify(maker.linear(maker.normalize(stream)))
        stream = maker.add(stream, maker.linear(inside))
    maker.linear(maker.normalize(stream))
    return maker


def measure(make: Callable[[int], Maker], count: int, rounds: int) -> dict[str, float]:
    """Median seconds of the structure alone, and of the recipe `auto`, which makes one."""
    maker = make(count)
    graph = Graph(tuple(maker.nodes), (len(maker.nodes) - 1,))
    ways: dict[str, Callable[[], object]] = {
        "structure": lambda: Structure(graph).residuals,
        "recipe": lambda: find("auto").choose(maker.params, graph, {}),
    }
    return alternate(ways, rounds, f"{make.__name__}, {count}", time.process_time)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nodes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3, help="times each is run (default 3)")
    given = parser.parse_args()
    table = Table("graph", "nodes", "structure, s", "exponent", "recipe, s", "exponent")
    for make in (chain, residual):
        last: tuple[int, dict[str, float]] | None = None
        for count in given.nodes:
            seconds = measure(make, count, given.rounds)
            cells = []
            for what, value in seconds.items():
                grown = math.log(value / last[1][what], count / last[0]) if last else math.nan
                cells += [f"{value:.3f}", "" if last is None else f"{grown:.2f}"]
            table.add_row(make.__name__, f"{count:,}", *cells)
            last = count, seconds
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
