"""Backward: F03, the gradient's scale along chains and residual streams."""

import math
from collections.abc import Iterator, Sequence

from fanin.checks._cause import advice, reviving, smaller
from fanin.checks._chains import ratio
from fanin.checks._finding import Finding
from fanin.checks._forward import by_chance, cut_hidden
from fanin.checks._growth import is_normalized
from fanin.checks._measurement import Measurement
from fanin.checks._note import Note
from fanin.checks._paths import comes_back, fair, is_open, one_each
from fanin.checks._remedy import write
from fanin.checks._starved import why_starved
from fanin.checks._verdict import count_layers, judge, number
from fanin.checks._width import band, path_beta

_SMALL = 0.1  # of a scale that lets little of a gradient through until it has grown


def judge_backward_scale(m: Measurement) -> Iterator[Finding | Note]:
    """F03, and F04 where only chance speaks."""
    yield from one_each(_chains(m))
    yield from one_each(_runs(m))
    yield from _streams(m)


def _chains(m: Measurement) -> Iterator[tuple[int, Finding | Note]]:
    limits = m.limits
    for path in m.chains.paths:
        uses = cut_hidden(m, path)
        if not uses:
            continue
        chain = m.chains.uses[uses[0]].chain
        if m.chains.is_derived(uses):
            said = (
                f"{m.module(uses[0])}: the model itself takes a derivative of what comes of it, "
                "so gradients there have two parts and were not judged (F03)."
            )
            yield chain, Note("F03", said)
            continue
        first, last = m.gradient(uses[0]), m.gradient(uses[-1])
        if first is None or last is None:
            continue
        if first == 0:
            yield from ((chain, said) for said in _nothing(m, uses[0]))
            continue
        if len(uses) < 2 or last == 0 or _held_small(m, uses):
            continue
        change = fair(m, uses, first / last, m.gradients)
        theory, room = m.theory.backward(uses), band(path_beta(m.chains, uses[:-1]), m.draws)
        found = judge(change, theory, room, limits.backward_warning, limits.backward_error)
        if found.by_chance:
            yield chain, by_chance("F03", m, m.module(uses[0]), change, theory, room)
        severity = m.soften(uses[0], found.severity)
        if severity == "error" and change < 1 and comes_back(m, uses):
            severity = "warning"
        again = len({m.chains.uses[use].name for use in uses}) < len(uses)
        if severity is not None and again:  # one weight, step after step: early ones may not count
            severity = "note" if change < 1 else "warning"
        if severity is None:
            continue
        limit = limits.backward_error if severity == "error" else limits.backward_warning
        factor = change ** (1 / (len(uses) - 1))
        yield (
            chain,
            Finding(
                "F03",
                severity,
                m.module(uses[0]),
                measured=(
                    f"gradient {number(first / math.sqrt(m.batch))}, {number(first / last)} "
                    f"times that of {count_layers(len(uses) - 1)} on"
                ),
                expected="a ratio near 1"
                if theory is None
                else f"{number(theory)} from the weights' variances",
                limit=_limit(limit),
                why=f"The gradient changes by {number(factor)} a layer on its way back.",
                fix=advice(m, uses),
                value=first / last,
            ),
        )


def _runs(m: Measurement) -> Iterator[tuple[int, Finding]]:
    """Errors alone, from end to end of a run of layers with normalizations between them."""
    chains, limit = m.chains, m.limits.normalized_error
    for path in m.runs.paths:
        uses = cut_hidden(m, path)
        if not uses or chains.uses[uses[0]].chain == chains.uses[uses[-1]].chain:
            continue
        first, last = m.gradient(uses[0]), m.gradient(uses[-1])
        if not first or not last or ratio(first, last) <= limit or _held_small(m, uses):
            continue
        factor = (first / last) ** (1 / (len(uses) - 1))
        yield (
            m.runs.uses[uses[0]].chain,
            Finding(
                "F03",
                m.worst(uses[0]),
                m.module(uses[0]),
                measured=(
                    f"gradient {number(first / math.sqrt(m.batch))}, {number(first / last)} "
                    f"times that of {count_layers(len(uses) - 1)} on, through normalizations"
                ),
                expected="a ratio near 1",
                limit=_limit(limit),
                why=(
                    f"The gradient changes by {number(factor)} a layer on its way back. "
                    "Normalization keeps the signal's scale, not the gradient's."
                ),
                fix="Residual connections around every few layers, or fewer layers.",
                value=first / last,
            ),
        )


def _held_small(m: Measurement, path: Sequence[int]) -> bool:
    """Whether a small scale that training moves, LayerScale's 1e-6 say, is between the end of a
    path and the outputs, and another way leads from its beginning past that: a concatenation."""
    scales = {
        at
        for at, node in enumerate(m.nodes)
        if node.op == "scale"
        and node.param is not None
        and m.moves(node.param.name)
        and m.values[node.param.name].rms < _SMALL
    }
    first, last = (m.chains.uses[path[at]].node for at in (0, -1))
    return bool(scales) and is_open(m, first, scales) and not is_open(m, last, scales)


def _limit(value: float) -> str:
    return f"1/{value:g} to {value:g}"


def _nothing(m: Measurement, use: int) -> Iterator[Finding | Note]:
    """A gradient of exactly 0, unless a zero weight that will move is all that keeps it."""
    if m.moves(m.chains.uses[use].name):
        return  # used again, where it counts: a forget gate at the first step has nothing to forget
    opener = m.find_closing(m.chains.uses[use].node)
    if opener:
        yield Note(
            "F03",
            f"gradients are 0 behind {opener}, which is zero and moves first; what they will be "
            "then was not judged (F03).",
        )
        return
    unit_node = m.chains.uses[use].node
    if why_starved(m, m.chains.uses[use].name) is not None:
        return  # F17 says why
    above = m.chains.structure.above
    zeros = any(
        unit_node in above[at] or (at in above[unit_node] and not m.moves(name))
        for at, name in m.zeros.items()
    )
    if zeros or _not_selected(m, m.chains.uses[use].output):
        return  # F10 names zeros
    yield Finding(
        "F03",
        m.worst(use),
        m.module(use),
        measured="gradient exactly 0",
        expected="more than 0",
        limit="more than 0",
        why="No gradient reaches this layer: neither it nor what is before it will learn.",
        fix=_opening(m, use),
        value=0.0,
    )


def _opening(m: Measurement, use: int) -> str:
    """What lets gradients through to a use of a weight: the first layer behind it to stop them."""
    above, node = m.chains.structure.above, m.chains.uses[use].node
    for at, what in sorted(m.shut.items()):
        if at == use or node in above[m.chains.uses[at].node]:
            place = m.module(at) or m.chains.uses[at].name
            if what == "dead":
                return f"{reviving(m, at)} All units of {place} are dead."
            return f"{smaller(m, [at], m.activation(at))} {place} is saturated."
    return write(m.activation(use))


def _not_selected(m: Measurement, position: int) -> bool:
    """Whether gradients end where only other positions go on: at a choice of tokens, say."""
    front, seen = [(position, False)], {position}
    chosen: list[bool] = []  # of every place where there is a gradient again
    while front:
        source, through = front.pop()
        size = math.prod(m.nodes[source].shape)
        for user in m.chains.structure.users[source]:
            node = m.nodes[user]
            choice = node.op in ("view", "concat") and math.prod(node.shape) != size
            if m.gradients[user]:
                chosen.append(through or choice)
            elif user not in seen:
                seen.add(user)
                front.append((user, through or choice))
    return bool(chosen) and all(chosen)


def _streams(m: Measurement) -> Iterator[Finding]:
    limits = m.limits
    for members in m.chains.streams:
        # What begins small gets a large gradient from the first normalization: no growth.
        spread, where = _spread(m, members[1:] if is_normalized(m, members) else members)
        error = spread > limits.backward_error
        if spread <= limits.backward_warning:
            continue
        yield Finding(
            "F03",
            "error" if error else "warning",
            m.nodes[where].module,
            measured=f"gradients along a residual stream of {len(members) - 1} blocks differ by "
            f"{number(spread)}",
            expected="a ratio near 1",
            limit=f"{limits.backward_error if error else limits.backward_warning:g}",
            why="Branches add as much to the gradient as the stream carries, block after block.",
            fix="zeros() for the last weight of each branch, or fanin.initialize(model, inputs=x).",
            value=spread,
        )


def _spread(m: Measurement, members: Sequence[int]) -> tuple[float, int]:
    """The largest gradient of these over the smallest, and where that is."""
    sizes = ((m.gradients[at], at) for at in members)
    known = [(size, at) for size, at in sizes if size is not None and 0 < size < math.inf]
    if not known:
        return 1.0, members[0]
    (low, where), (high, _) = min(known), max(known)
    return ratio(low, high), where
