"""Closed: operations that let no gradient through, and what to write in their place."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fanin.checks._cause import smaller
from fanin.checks._measurement import Measurement
from fanin.checks._remedy import STEPS
from fanin.checks._streams import see_through_moves
from fanin.checks._verdict import number
from fanin.graph import Function, Node

_POINTS = np.random.default_rng(0).standard_normal(64)  # no function is likely to jump at them
_SPACING = 1e-3


@dataclass(frozen=True, slots=True)
class Closed:
    """Why no gradient passes a node, and what to write instead."""

    node: int
    why: str
    fix: str
    gate: str = ""  # the weight that makes a gate which is next to 0


def explain(m: Measurement, way: Sequence[int]) -> Closed | None:
    """The first operation on a way, behind its start, that lets nothing through; None for none."""
    judges = _judge_softmax, _judge_division, _judge_slope, _judge_scale, _judge_gate
    found = (judge(m, before, at) for before, at in pairwise(way) for judge in judges)
    return next((closed for closed in found if closed is not None), None)


def _judge_softmax(m: Measurement, before: int, at: int) -> Closed | None:
    node = m.nodes[at]
    keys = m.nodes[node.inputs[1]].shape if node.op == "attention" else ()
    if not (node.op == "softmax" and node.count == 1) and keys[-2:-1] != (1,):
        return None
    return Closed(
        at,
        f"The softmax {_place(node)} is over one value, and gives 1 whatever that is.",
        "A softmax over all values, before one of them is chosen: logits.softmax(-1).topk(1), say. "
        "Attention to one position needs no queries and keys.",
    )


def _judge_division(m: Measurement, before: int, at: int) -> Closed | None:
    node = m.nodes[at]
    if node.function != "div" or len(node.inputs) < 2:
        return None
    over, under = (see_through_moves(m.nodes, source) for source in node.inputs)
    while under != over:
        part = m.nodes[under]
        alone = part.op == "pointwise" or (part.op == "sum" and part.count == 1)
        if not alone or len(set(part.inputs)) != 1:
            return None
        under = see_through_moves(m.nodes, part.inputs[0])
    return Closed(
        at,
        f"A division {_place(node)} is by the sum of one value, which is the value itself: it "
        "gives 1, whatever that is.",
        "Choose two or more; or leave the division out where one is chosen, and multiply by its "
        "share of the softmax over all.",
    )


def _judge_slope(m: Measurement, before: int, at: int) -> Closed | None:
    """A function of one value with a slope of 0: a step, a factor of 0, a norm of one feature."""
    node = m.nodes[at]
    if node.op != "pointwise" or node.fn is None or len(set(node.inputs)) != 1:
        return None
    name = node.function or node.label
    if at in m.flat and name not in STEPS:
        return None  # F05 speaks of it
    points = _POINTS * (m.rms[see_through_moves(m.nodes, before)] or 1.0)
    step = _SPACING * float(np.abs(points).max())
    with np.errstate(all="ignore"):
        low, high = (
            np.asarray(node.fn(*[x] * len(node.inputs)), float) for x in (points, points + step)
        )
    # A small factor counts where a stream leads past it: else the signal shrinks too, as F02 says.
    most = m.limits.starved if m.chains.owners[at] in m.chains.in_branches else 0.0
    slope = float(np.quantile(np.abs(high - low) / step, 0.9))
    if low.shape != points.shape or not slope <= most:
        return None
    if name in STEPS:
        fix = f"A gradient for {name}: x + ({name}(x) - x).detach() in its place."
    elif name == "mul":
        fix = (
            "A trainable factor in place of the constant, which may start at 0: it gets a gradient "
            "itself, and opens what is before it."
        )
    else:
        fix = f"Leave {name} out, or give it several values to work on."
    label = node.label or name
    return Closed(at, f"{label} {_place(node)} has a slope of {number(slope)}.", fix)


def _judge_scale(m: Measurement, before: int, at: int) -> Closed | None:
    """A product with a parameter that is next to 0 and stays there, or a layer frozen at 0."""
    node = m.nodes[at]
    name = node.param.name if node.param is not None else ""
    if at in m.zeros and name in m.held:
        return Closed(
            at,
            f"{name} is zero and frozen: it switches off what is before it.",
            f"requires_grad_(True) for {name}, or for what is before it requires_grad_(False).",
        )
    if node.op != "scale" or node.param is None or not _shrinks(m, before, at):
        return None
    if m.is_zero(name) or _moves(m, at):
        return None  # F10 speaks of zeros; others open
    through = f" through {', '.join(node.param.through)}" if node.param.through else ""
    return Closed(
        at,
        f"A product {_place(node)} is with {name}{through}, which is next to 0 and gets no "
        "gradient itself.",
        f"{'zeros()' if _opens_at_zero(node.param.function, name) else 'ones()'} for {name}.",
    )


def _judge_gate(m: Measurement, before: int, at: int) -> Closed | None:
    """A product with an activation that is next to 0, a gate say."""
    node = m.nodes[at]
    if node.op != "mul" or not _shrinks(m, before, at):
        return None
    gate = next((source for source in node.inputs if source != before), before)
    if any(_moves(m, end) for end in m.chains.structure.ends_at(gate)):
        return None  # it opens, as a table of zeros that multiplies another one does
    owner = m.chains.owners[gate]
    why = f"A product {_place(node)} is with a gate that is next to 0"
    if owner is None:
        return Closed(at, f"{why}.", "A gate that starts open.")
    fix = smaller(m, [owner], m.activation(owner))
    return Closed(at, f"{why}; {m.module(owner)} makes it.", fix, m.chains.uses[owner].name)


def _moves(m: Measurement, end: int) -> bool:
    """Whether what sets the size of an activation is trained, and gets a gradient."""
    use = m.nodes[end].param
    return use is not None and use.name not in m.frozen and m.slope(use.name) > m.least_slope


def _shrinks(m: Measurement, before: int, at: int) -> bool:
    """Whether a node makes next to nothing of what it is given."""
    given, made = m.rms[see_through_moves(m.nodes, before)], m.rms[at]
    return given is not None and made is not None and made <= m.limits.starved * given


def _opens_at_zero(function: Function | None, name: str) -> bool:
    """Whether what a parameter goes through gives more than 0 of 0, as a sigmoid does."""
    if function is None or function.each is None:
        return False
    with np.errstate(all="ignore"):
        return bool(np.abs(function.each(np.zeros(1))) > 0.01)


def _place(node: Node) -> str:
    return f"in {node.module}" if node.module else "of the model's own"
