"""Finite: F01, what is infinite or not a number, and who made it so."""

import math
from collections.abc import Iterator

from fanin.checks._finding import Finding
from fanin.checks._measurement import Measurement
from fanin.checks._remedy import initializer_for
from fanin.recipes._graph import WRITTEN

# Sums and products: of finite numbers nothing but an overflow makes inf, or inf - inf.
_SUMS = ("linear", "shift", "scale", "matmul", "add", "mul", "sum", "mean", "pool")


def non_finite(m: Measurement) -> Iterator[Finding]:
    """F01: the producer alone: a parameter, else an operation, else a gradient or the loss.

    What an operation gives counts where it reaches the output, a gradient or the loss: a softmax,
    a maximum or a mask may consume it before.
    """
    bad = [name for name, values in m.values.items() if not values.finite]
    if bad:
        yield _of_parameters(m, bad)
        return
    spread = _Spread(m)
    node, gradient = spread.producer(), _last_gradient(m)
    if node is None and m.loss is not None and not math.isfinite(m.loss):
        yield _finding(
            "",
            f"a loss of {m.loss}",
            "The output has nothing that is not finite but masks: the loss itself makes it so.",
            "Check the targets and the loss: the logarithm or the division of a zero, a target "
            "that a mask excludes.",
        )
        return
    if node is None and gradient is not None:
        node = spread.hidden_behind(gradient)
    if node is not None:
        yield _of_output(m, node, spread)
    elif gradient is not None:
        yield _finding(
            m.nodes[gradient].module,
            f"{m.gradients[gradient]} in the gradient of what {_what(m, gradient)} gives, while "
            "the gradients behind are finite",
            "The first step would write NaN into every weight before it.",
            _fix(m, m.chains.owners[gradient]),
        )


def _of_parameters(m: Measurement, bad: list[str]) -> Finding:
    more = f", and in {len(bad) - 1} more" if bad[1:] else ""
    return _finding(
        bad[0],
        f"values that are not finite in {bad[0]}{more}",
        "Its draw or a former step left NaN or infinity there; all that follows is NaN.",
        f"Draw it again: {_fix(m, None)}",
    )


def _of_output(m: Measurement, node: int, spread: "_Spread") -> Finding:
    size, what = m.rms[node], _what(m, node)
    if m.nodes[node].op == "input":
        return _finding(
            "",
            f"{size} in the inputs of shape {m.nodes[node].shape}",
            "What is NaN or infinite in the data makes all that follows so.",
            "Clean the data: torch.isfinite(x) shows where; weights are not to blame.",
        )
    if spread.fed_by_masks(node):
        return _finding(
            m.nodes[node].module,
            f"{size} in what {what} gives, of values that are masked with infinity",
            "Where a mask excludes every value, nothing is left to compute with.",
            "Leave one value at least unmasked in every row, or mask with "
            "torch.finfo(x.dtype).min in place of -inf.",
        )
    overflow = m.nodes[node].op in _SUMS or what.startswith("mul ")
    if not overflow and math.isnan(size or 0.0):
        return _finding(
            m.nodes[node].module,
            f"{size} in what {what} gives, while its inputs are finite",
            "It is not defined for these numbers: zero over zero, the root or the logarithm of a "
            "negative one, the deviation of a single one.",
            "Keep what it is given where it is defined: x.clamp(min=1e-6), say.",
        )
    return _finding(
        m.nodes[node].module,
        f"{f'overflow ({size})' if overflow else size} in what {what} gives, while its inputs are "
        "finite",
        "The numbers outgrow their type here; the loss and all gradients are lost.",
        _fix(m, m.chains.owners[node]),
    )


def _finding(layer: str, measured: str, why: str, fix: str) -> Finding:
    return Finding("F01", "error", layer, measured, "finite numbers", "any", why, fix)


def _what(m: Measurement, position: int) -> str:
    node = m.nodes[position]
    return "the layer" if node.op in ("linear", "shift", "scale") else node.label or node.op


def _fix(m: Measurement, owner: int | None) -> str:
    label = "" if owner is None else m.activation(owner)
    how = initializer_for(label) if label else "he_normal() before ReLU, lecun_normal() else"
    return f"{how} for the weights up to here, or fanin.initialize(model, inputs=x)."


class _Spread:
    """Where values that are not finite come from, and where they go."""

    def __init__(self, m: Measurement) -> None:
        self._m = m
        self._bad: list[bool] = []
        self._masks: list[bool] = []  # infinity that was written on purpose, and no more than that
        for at in range(len(m.nodes)):
            self._bad.append(self._is_bad(at))
            self._masks.append(self._bad[at] and self._is_mask(at))

    def _is_bad(self, at: int) -> bool:
        node, size = self._m.nodes[at], self._m.rms[at]
        if node.op == "buffer":
            return node.amount is not None and not math.isfinite(node.amount)
        if size is None:  # was not measured: a view, or a step inside of an operation
            return any(self._bad[one] for one in node.inputs)
        return not math.isfinite(size)

    def _is_mask(self, at: int) -> bool:
        node, size = self._m.nodes[at], self._m.rms[at]
        if node.op == "buffer":
            return not math.isnan(node.amount or 0.0)
        if size is not None and math.isnan(size):
            return False
        fed = self._producers(at)
        if fed:
            return all(self._masks[one] for one in fed)
        return node.label in WRITTEN  # a constant, written among finite values

    def _producers(self, at: int) -> list[int]:
        return [one for one in self._m.nodes[at].inputs if self._bad[one]]

    def fed_by_masks(self, at: int) -> bool:
        """Whether all that is not finite in what feeds a node is a mask's infinity."""
        return any(self._masks[one] for one in self._producers(at))

    def producer(self) -> int | None:
        """The first node, in the order of the run, whose bad values reach the output."""
        users = self._m.chains.structure.users
        ends = self._m.outputs or [at for at, one in enumerate(users) if not one]
        front = [at for at in ends if self._is_faulty(at)]
        reached = set(front)
        while front:
            for one in self._m.nodes[front.pop()].inputs:
                if self._is_faulty(one) and one not in reached:
                    reached.add(one)
                    front.append(one)
        return min(reached, default=None)

    def _is_faulty(self, at: int) -> bool:
        return self._bad[at] and not self._masks[at]

    def hidden_behind(self, at: int) -> int | None:
        """What reads a node and is not finite, though it never reaches the output."""
        users = self._m.chains.structure.users[at]
        return next((one for one in users if self._is_faulty(one)), None)


def _last_gradient(m: Measurement) -> int | None:
    """The last node whose gradient is not finite: gradients come from behind."""
    bad = [
        at for at, size in enumerate(m.gradients) if size is not None and not math.isfinite(size)
    ]
    return bad[-1] if bad else None
