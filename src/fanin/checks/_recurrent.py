"""Recurrent: F05 of states that saturate, F03 through time, F12 of weights inside of a module."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from fanin._columns import list_names
from fanin.checks._cause import raw_inputs
from fanin.checks._ends import SAME
from fanin.checks._finding import Finding, Severity
from fanin.checks._levels import LISTED, Level, levels_of, open_gates, tell_closed
from fanin.checks._limits import LIMITS
from fanin.checks._measurement import Measurement
from fanin.checks._remedy import DATA
from fanin.checks._verdict import level, number

_SMALL = 0.1  # of torch's own default, or of lecun_normal(), whichever is smaller
_APART = 3.0  # times as large as the next one: a gate with a cause of its own
_GATED = ("lstm", "gru")


def judge_saturated_states(m: Measurement) -> Iterator[Finding]:
    """F05: one finding for each module, at the layer that saturates most."""
    limits = m.limits
    for levels in levels_of(m):
        found = [level for level in levels if level.flat > limits.saturated_warning]
        if not found:
            continue
        worst = max(found, key=lambda level: level.flat)
        parts = worst.parts
        place = max(parts, key=lambda name: parts[name])
        deep = [
            level.flat > limits.saturated_deep_error
            for level in levels
            if not level.inputs.endswith("_reverse")
        ]
        stacked = sum(deep) >= limits.saturated_deep
        error = stacked or worst.flat > limits.saturated_error
        limit = limits.saturated_error if error else limits.saturated_warning
        sizes = ", ".join(f"{number(size)} by {name}" for name, size in parts.items() if size)
        more = f", and more than a fifth in {len(found) - 1} more layers" if found[1:] else ""
        yield Finding(
            "F05",
            "error" if error else "warning",
            place,
            measured=f"{worst.flat:.0%} of what the state takes up is where tanh is flat{more}",
            expected="at most 15%",
            limit=f"{limits.saturated_deep_error:.0%} of {limits.saturated_deep} layers"
            if stacked
            else f"{limit:.0%}",
            why=f"Saturated units pass no gradient. What tanh is given has RMS {sizes}.",
            fix=_smaller(m, worst, others=bool(found[1:])),
            value=worst.flat,
        )


def _smaller(m: Measurement, level: Level, others: bool) -> str:
    """What to write where the state of a layer saturates."""
    steps = []
    if level.read_scale > m.limits.gain_warning:
        steps.append(f"glorot_uniform() for {level.inputs}")
    if level.state_scale > m.limits.gain_warning:
        steps.append(f"orthogonal() for {level.state}")
    if level.from_bias > 1:
        steps.append(open_gates([level]))
    given = m.nodes[level.node].inputs[:1]
    if any(raw_inputs(m, at) is not None for at in given):
        return DATA + (f" And {', '.join(steps)}." if steps else "")
    if not steps:
        return f"a normalization of what {level.module or 'the model'} reads: it is too large."
    so = ", and so in the other layers" if others else ""
    return f"{', '.join(steps)}{so}; or fanin.initialize(model, inputs=x)."


def judge_exploding_time(m: Measurement) -> Iterator[Finding]:
    """F03 through time: the gradient grows on its way back from step to step."""
    limits = m.limits
    for levels in levels_of(m):
        worst = max(levels, key=lambda level: level.growth or 0.0)
        growth = worst.growth or 0.0
        # A bounded state holds the signal and lets the gradient go, as normalizations do.
        severity = level(growth, limits.backward_warning, limits.normalized_error)
        if severity is None:
            continue
        limit = limits.normalized_error if severity == "error" else limits.backward_warning
        large = worst.state_scale > limits.gain_warning
        yield Finding(
            "F03",
            severity,
            worst.state,
            measured=(
                f"the gradient at the first step is {number(growth)} times that at the last one"
            ),
            expected="no growth",
            limit=f"{limit:g}",
            why=f"It grows from step to step on its way back through time: {_radius(worst)}.",
            fix=f"orthogonal() for {worst.state}; or fanin.initialize(model, inputs=x)."
            if large
            else "Shorter sequences, or gradients clipped.",
            value=growth,
        )


def judge_vanishing_time(m: Measurement) -> Iterator[Finding]:
    """F03 through time with SGD: a plain RNN, of which the last state alone is read, forgets."""
    limit = m.limits.time_error
    for levels in levels_of(m) if m.sgd else ():
        worst = min(levels, key=lambda level: 1.0 if level.growth is None else level.growth)
        gated, growth = worst.kind in _GATED, worst.growth
        if gated or growth is None or growth * limit >= 1 or not _reads_last(m, worst.node):
            continue
        yield Finding(
            "F03",
            "error",
            worst.state,
            measured=(
                f"the gradient at the first step is {number(growth)} times that at the last one"
            ),
            expected="0.001 or more",
            limit=f"{1 / limit:g}",
            why="It falls from step to step on its way back through time, so that SGD learns from "
            f"the last inputs alone: {_radius(worst)}.",
            fix=f"orthogonal() for {worst.state}; or fanin.initialize(model, inputs=x).",
            value=growth,
        )


def _reads_last(m: Measurement, node: int) -> bool:
    """Whether only a part of what a module gives goes on, its last step say."""
    users = [m.nodes[user] for user in m.chains.structure.users[node]]
    size = math.prod(m.nodes[node].shape)
    return bool(users) and all(user.op == "view" and math.prod(user.shape) < size for user in users)


def judge_alike_states(m: Measurement) -> Iterator[Finding]:
    """F14 of recurrent modules: whether different inputs leave different states."""
    # The same limit with SGD: states that keep 3e-6 of the distance of their inputs train.
    limit = LIMITS.collapse_error
    for levels in levels_of(m):
        level = levels[-1]
        first = m.tell_apart(m.graph.behind(m.nodes[level.node].inputs[0]))
        last = m.tell_apart(level.node)
        if last is None or not first or first < SAME or last >= limit * first:
            continue
        shut, opening = tell_closed(levels)
        yield Finding(
            "F14",
            "error",
            level.module,
            measured=f"1 - cosine of different inputs is {number(last)}, {number(last / first)} "
            "of what it was before the module",
            expected=f"a share above {m.limits.collapse_note:g}",
            limit=f"{limit:g}",
            why="Different inputs leave the same states: what follows can hardly tell them apart. "
            f"{shut}".rstrip(),
            fix=f"{opening or _larger(levels)}; or fanin.initialize(model, inputs=x).",
            value=last / first,
        )


def _larger(levels: Sequence[Level]) -> str:
    """What to write where biases alone make the states."""
    heavy = [name for level in levels for name in level.biases if level.from_bias > 1]
    if heavy:
        return f"zeros() for {list_names(heavy, LISTED)}"
    into = [level.inputs for level in levels]
    return f"glorot_uniform() for {list_names(into, LISTED)}"


def judge_recurrent_weights(m: Measurement) -> Iterator[Finding]:
    """F12: weights of a size that cannot be meant, where neither F03 nor F05 speaks of them."""
    heard = {
        finding.layer
        for judge in (judge_saturated_states, judge_exploding_time)
        for finding in judge(m)
    }
    for levels in levels_of(m):
        names = {name for level in levels for name in level.parts}
        if names & heard:
            continue
        found = [finding for level in levels for finding in _off(m, level)]
        if not found:
            continue
        worst = max(
            found, key=lambda finding: (finding.severity == "warning", _far(finding.value or 0.0))
        )
        more = f", and off in {len(found) - 1} more weights inside" if found[1:] else ""
        fixes = ", ".join(finding.fix for finding in found[:4])
        yield replace(
            worst,
            measured=worst.measured + more,
            fix=f"{fixes}{' and so on' if found[4:] else ''}; or "
            "fanin.initialize(model, inputs=x).",
        )


def _off(m: Measurement, level: Level) -> Iterator[Finding]:
    """The weights of one layer that are too small or too large."""
    own = 1 / math.sqrt(3 * level.gates.hidden)  # torch's default, whatever a weight reads
    small = level.taken.inputs_rms / min(own, 1 / math.sqrt(level.gates.read))
    if small < _SMALL:
        yield _finding(
            level.inputs,
            "warning",
            level.taken.inputs_rms * math.sqrt(level.gates.read),
            f"{number(_SMALL)} of torch's default",
            "The state hardly depends on the inputs.",
            "glorot_uniform()",
        )
    if level.state_scale > m.limits.gain_warning:
        yield _finding(
            level.state,
            "warning",
            level.state_scale,
            f"{m.limits.gain_warning:g}",
            f"What comes back from the state grows from step to step: {_radius(level)}"
            f"{_at_one_gate(level)}.",
            "orthogonal()",
        )
    elif level.state_scale < _SMALL * own * math.sqrt(level.gates.kept):
        # Gates carry a state of their own from step to step; a plain RNN has nothing else.
        gated = level.kind in _GATED
        yield _finding(
            level.state,
            "note" if gated else "warning",
            level.state_scale,
            f"{number(_SMALL)} of torch's default",
            "Gates see the inputs alone at the start; the weight gets a gradient, and grows."
            if gated
            else "The state before has no part in the next one: what earlier inputs did is lost, "
            "and no gradient gets back to them.",
            "orthogonal()",
        )


def _finding(
    layer: str, severity: Severity, scale: float, limit: str, why: str, word: str
) -> Finding:
    measured = f"factor {number(scale)} on the standard deviation" if scale else "all zero"
    fix = f"{word} for {layer}"
    return Finding(
        "F12",
        severity,
        layer,
        measured=measured,
        expected="1",
        limit=limit,
        why=why,
        fix=fix,
        value=scale,
    )


def _radius(level: Level) -> str:
    return (
        f"a gate's {level.gates.hidden}x{level.gates.kept} matrix has spectral radius about "
        + number(level.state_scale)
    )


def _at_one_gate(level: Level) -> str:
    """Which gate it is, where its matrix is larger than all the others."""
    *others, largest = sorted(level.gates.parts, key=lambda part: part.state_rms)
    if not others or largest.state_rms < _APART * others[-1].state_rms:
        return ""
    return f", at its {largest.name} gate alone" if largest.name else ", of what it takes up alone"


def _far(scale: float) -> float:
    return abs(math.log(scale)) if scale > 0 else math.inf
