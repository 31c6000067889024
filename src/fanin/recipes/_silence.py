"""Silence: what of a graph is exactly zero, and which zeros keep a model from training."""

from collections.abc import Collection, Iterable

import numpy as np

from fanin.graph import Graph, Node, evaluate, having

_NEAR = 1e-3  # where the slopes of a function at zero are looked at
_MIXING = having("window", "reduces", "breaks") - having("norm")


class Silence:
    """The activations that are zero where parameters are.

    `zero` are the names of parameters that act as zeros, `filled` those of shifts that do not.
    """

    def __init__(self, graph: Graph, zero: Collection[str], filled: Collection[str]) -> None:
        self.graph, self.zero, self.filled = graph, zero, filled
        self.users = graph.users()
        self.silent: list[bool] = []
        for node in graph.nodes:
            self.silent.append(self._is_silent(node))

    def _is_silent(self, node: Node) -> bool:
        use, fed = node.param, [self.silent[source] for source in node.inputs]
        zero = use is not None and use.name in self.zero
        match node.op:
            case "parameter" | "lookup":
                return zero
            case "linear" | "scale":
                return zero or fed[0]
            case "shift":
                return fed[0] and not self._fills(node)
            case "mul" | "matmul":
                return any(fed)
            case "attention":
                return fed[2]
            case "pointwise":
                return _keeps_zero(node, fed)
            case "buffer":
                return node.square == 0
            case "input" | "softmax" | "recurrent":
                return False
        return bool(fed) and all(fed)

    def _fills(self, node: Node) -> bool:
        return node.param is not None and node.param.name in self.filled

    def harms(self, position: int) -> bool:
        """Whether zeros used at a node could not learn, or keep what reads them from learning."""
        sources = self.graph.nodes[position].inputs
        if sources and self.silent[sources[0]]:
            return True
        front, seen = [(position, False)], {position}
        while front:
            source, rows = front.pop()
            for user in self.users[source]:
                harm = self._harm_to_rows(user) if rows else self._harm(user, source)
                if harm:
                    return True
                if harm is None and user not in seen:
                    seen.add(user)
                    front.append((user, rows or not self.silent[user]))
        return False

    def _harm(self, position: int, source: int) -> bool | None:
        """What a silent source does to its user; None where silence goes on behind it."""
        node = self.graph.nodes[position]
        fed = [self.silent[item] for item in node.inputs]
        match node.op:
            case "normalize" | "recurrent":
                return True
            case "linear" if not self._feeds_elsewhere(node):
                return True
            case "mul" | "matmul" if all(fed):
                return True
            case "attention":
                query, key, value = node.inputs[:3]
                if self.silent[query] and self.silent[key]:
                    return True
                return None if source == value else False
            case "pointwise" if self.silent[position] and _is_flat(node):
                return True
            case "concat" if node.shape[-1:] == self.graph.nodes[source].shape[-1:]:
                return None  # rows of their own, such as a token
        return None if self.silent[position] else False

    def _harm_to_rows(self, position: int) -> bool | None:
        """The same where only some rows of what is read are zero."""
        node = self.graph.nodes[position]
        match node.op:
            case "normalize":
                return node.over == "features"
            case "shift":
                return False if self._fills(node) else None
            case "add":
                return False
            case "pointwise":
                return None if _keeps_zero(node, [True] * len(node.inputs)) else False
        return False if node.op in _MIXING else None

    def _feeds_elsewhere(self, node: Node) -> bool:
        """Whether the weight has another use, whose input is not zero."""
        assert node.param is not None
        return any(
            item.op == "linear"
            and item.param is not None
            and item.param.name == node.param.name
            and not self.silent[item.inputs[0]]
            for item in self.graph.nodes
        )


def _keeps_zero(node: Node, silent: Iterable[bool]) -> bool:
    """Whether a function is zero where these inputs are, whatever the others."""
    silent = list(silent)
    if node.fn is None or not any(silent):
        return all(silent)
    given = [np.zeros(2) if zero else np.array([-1.7, 0.9]) for zero in silent]
    with np.errstate(all="ignore"):
        return not np.any(node.fn(*given))


def _is_flat(node: Node) -> bool:
    """Whether a function of one value passes no gradient at zero, as a rectifier does not."""
    if node.fn is None or len(set(node.inputs)) > 1:
        return False
    low, _, high = evaluate(node, np.array([-_NEAR, 0.0, _NEAR]))
    return bool(low == 0 or high == 0)
