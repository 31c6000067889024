"""Finite: F01, what is infinite or not a number, and who made it so."""

import math
from collections.abc import Iterable, Iterator

from fanin.checks._cause import tell_bound
from fanin.checks._finding import Finding
from fanin.checks._measurement import Measurement
from fanin.checks._remedy import initializer_for
from fanin.graph import having, reach

# Sums and products: of finite numbers nothing but an overflow makes inf, or inf - inf.
_SUMS = having("sums")


def judge_non_finite(m: Measurement) -> Iterator[Finding]:
    """F01: the producer alone: a parameter, else an operation, else a gradient or the loss.

    What an operation gives counts where it reaches the output, a gradient or the loss: a softmax,
    a maximum or a mask may consume it before.
    """
    bad = [name for name, values in m.values.items() if not values.finite]
    if bad:
        yield _of_parameters(m, bad)
        return
    garbage = list(_never_filled(m))
    yield from garbage
    if any(finding.severity == "error" for finding in garbage):
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
        node = spread.find_hidden(gradient)
    if node is not None:
        yield _of_output(m, node, spread)
    elif gradient is not None:
        yield _finding(
            m.nodes[gradient].module,
            f"{m.gradients[gradient]} in the gradient of what {_what(m, gradient)} gives, while "
            "the gradients behind are finite",
            "The first step would write NaN into every weight before it.",
            tell_bound(m, gradient, m.chains.owners[gradient]),
        )


def _of_parameters(m: Measurement, bad: list[str]) -> Finding:
    more = f", and in {len(bad) - 1} more" if bad[1:] else ""
    return _finding(
        bad[0],
        f"values that are not finite in {bad[0]}{more}",
        "Its draw or a former step left NaN or infinity there, or its memory, from torch.empty, "
        "was never filled; all that follows is NaN.",
        _filling(m, bad[0]),
    )


def _never_filled(m: Measurement) -> Iterator[Finding]:
    """Numbers that no initializer draws: what was in memory before."""
    odd = [name for name, values in m.values.items() if values.odd and values.finite]
    large = [name for name in odd if m.values[name].rms > 1]
    if not odd:
        return
    name = (large or odd)[0]
    more = f", and such in {len(odd) - 1} more" if odd[1:] else ""
    examples = ", ".join(f"{value:.3g}" for value in m.values[name].odd)
    yield Finding(
        "F01",
        "error" if large else "warning",
        name,
        measured=f"values such as {examples} in {name} of shape {m.values[name].shape}{more}",
        expected="numbers that an initializer draws",
        limit="beyond 1e15" if large else "nothing but zeros and denormal numbers",
        why="No initializer gives such numbers: this memory, from torch.empty or torch.Tensor, was "
        "never filled, and holds what was there before.",
        fix=_filling(m, name),
        value=m.values[name].odd[0],
    )


def _filling(m: Measurement, name: str) -> str:
    """What to fill a parameter with, by what the run does with it."""
    used = next((node for node in m.nodes if node.param and node.param.name == name), None)
    op = used.op if used is not None else ""
    if op == "linear" and used is not None:
        owners = [at for at, use in enumerate(m.chains.uses) if use.name == name]
        how = initializer_for(m.activation(owners[0])) if owners else "lecun_normal()"
    elif len(m.values[name].shape) > 1:
        how = "glorot_normal()"
    else:
        how = {"shift": "zeros()", "scale": "ones()"}.get(op, "normal(std=0.02)")
    return f"Fill it: {how} for {name}; or fanin.initialize(model, inputs=x) for the whole model."


def _of_output(m: Measurement, node: int, spread: "_Spread") -> Finding:
    size, what = m.rms[node], _what(m, node)
    if m.nodes[node].op == "input":
        return _finding(
            "",
            f"{size} in the inputs of shape {m.nodes[node].shape}",
            "What is NaN or infinite in the data makes all that follows so.",
            "Clean the data: torch.isfinite(x) shows where; weights are not to blame.",
        )
    if spread.is_fed_by_masks(node):
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
        tell_bound(m, node, m.chains.owners[node]),
    )


def _finding(layer: str, measured: str, why: str, fix: str) -> Finding:
    return Finding(
        "F01",
        "error",
        layer,
        measured=measured,
        expected="finite numbers",
        limit="any",
        why=why,
        fix=fix,
    )


def _what(m: Measurement, position: int) -> str:
    node = m.nodes[position]
    return "the layer" if node.op in ("linear", "shift", "scale") else node.label or node.op


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
            return node.square is not None and not math.isfinite(node.square)
        if size is None:  # was not measured: a view, or a step inside of an operation
            return any(self._bad[source] for source in node.inputs)
        return not math.isfinite(size)

    def _is_mask(self, at: int) -> bool:
        node, size = self._m.nodes[at], self._m.rms[at]
        if node.op == "buffer":
            return not math.isnan(node.square or 0.0)
        if size is not None and math.isnan(size):
            return False
        fed = self._producers(at)
        if fed:
            return all(self._masks[source] for source in fed)
        return "written" in node.flags  # a constant, written among finite values

    def _producers(self, at: int) -> list[int]:
        return [source for source in self._m.nodes[at].inputs if self._bad[source]]

    def is_fed_by_masks(self, at: int) -> bool:
        """Whether all that is not finite in what feeds a node is a mask's infinity."""
        return any(self._masks[producer] for producer in self._producers(at))

    def producer(self) -> int | None:
        """The first node, in the order of the run, whose bad values reach the output."""
        users = self._m.chains.structure.users
        ends = self._m.outputs or [at for at, user in enumerate(users) if not user]

        def faulty(positions: Iterable[int]) -> list[int]:
            return [at for at in positions if self._is_faulty(at)]

        return min(reach(faulty(ends), lambda at: faulty(self._m.nodes[at].inputs)), default=None)

    def _is_faulty(self, at: int) -> bool:
        return self._bad[at] and not self._masks[at]

    def find_hidden(self, at: int) -> int | None:
        """What reads a node and is not finite, though it never reaches the output."""
        users = self._m.chains.structure.users[at]
        return next((user for user in users if self._is_faulty(user)), None)


def _last_gradient(m: Measurement) -> int | None:
    """The last node whose gradient is not finite: gradients come from behind.

    Less masks, which let no gradient through where they write.
    """
    bad = [
        at
        for at, size in enumerate(m.gradients)
        if size is not None and not math.isfinite(size) and "written" not in m.nodes[at].flags
    ]
    return bad[-1] if bad else None
