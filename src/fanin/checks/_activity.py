"""Activity: F05 saturation, F06 sigmoids in depth, F07 dead units."""

import math
from collections.abc import Iterator

import numpy as np

from fanin.checks._finding import Finding, Severity
from fanin.checks._measurement import Measurement
from fanin.checks._remedy import SIGMOIDS, initializer_for
from fanin.checks._verdict import level

_RARE = 0.01  # the chance at which a whole layer that is dead is no accident


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 or share == 0 else f"{share:.1%}"


def saturation(m: Measurement) -> Iterator[Finding]:
    """F05: one finding for each chain, at the layer that saturates most."""
    limits = m.limits
    groups: dict[object, list[tuple[float, int]]] = {}
    for at, share in m.flat.items():
        owner = m.chains.owners[at]
        if share > limits.saturated_warning and owner is not None and not m.chains.gates(at):
            groups.setdefault(m.chains.units[owner].chain, []).append((share, at))
    for found in groups.values():
        share, at = max(found, key=lambda one: (one[0], -one[1]))
        owner = m.chains.owners[at]
        assert owner is not None
        label = m.nodes[at].label
        error = share > limits.saturated_error and m.worst(owner) == "error"
        more = f", and more than a fifth in {len(found) - 1} other layers" if found[1:] else ""
        yield Finding(
            "F05",
            "error" if error else "warning",
            m.module(owner),
            f"{_percent(share)} of the {label} values are where it is flat{more}",
            "at most 15%",
            _percent(limits.saturated_error if error else limits.saturated_warning),
            f"Saturated units pass no gradient: the weights, or the inputs, are too large for "
            f"{label}. They look like {m.matched(owner)}.",
            _fix_of_saturation(label),
            share,
        )


def _fix_of_saturation(label: str) -> str:
    what = f"{initializer_for(label)} or lecun_normal() for the weight, zeros() for its bias"
    if label in SIGMOIDS:
        what += "; tanh or ReLU in place of sigmoid where the network is deep"
    return what + "."


def deep_sigmoid(m: Measurement) -> Iterator[Finding]:
    """F06: sigmoid as the activation of several hidden layers of one chain."""
    seen: set[int] = set()
    for path in m.chains.paths:
        used = [one for one in path if m.activation(one) in SIGMOIDS]
        if len(used) < m.limits.sigmoids_warning or m.chains.units[path[0]].chain in seen:
            continue
        seen.add(m.chains.units[path[0]].chain)
        yield Finding(
            "F06",
            "warning",
            m.module(used[0]),
            f"{len(used)} hidden layers with sigmoid in one chain",
            f"fewer than {m.limits.sigmoids_warning}",
            f"{m.limits.sigmoids_warning}",
            "A sigmoid is 0.25 steep at most, so gradients fall by 0.21 a layer at Xavier's scale.",
            "tanh with glorot_normal(), or ReLU with he_normal(), in place of sigmoid; or a "
            "normalization before each sigmoid.",
            float(len(used)),
        )


def dead_units(m: Measurement) -> Iterator[Finding]:
    """F07: units that are silent on all inputs, beyond what inputs so alike would leave silent.

    One finding for each chain, at the layer with the most.
    """
    groups: dict[int, list[tuple[float, int, float, Severity]]] = {}
    for at, share in m.silent.items():
        owner = m.chains.owners[at]
        if share <= m.limits.dead_warning or owner is None:
            continue
        if m.is_zero(m.chains.units[owner].name):
            continue  # F08 and F10 speak of it
        look = m.looks.get(m.chains.units[owner].output)
        expected = silent_by_chance(None if look is None else look.cosine, m.batch)
        severity = _of_dead(m, share, expected, m.chains.units[owner].width)
        severity = m.softened(owner, severity)
        if severity is not None:
            chain = groups.setdefault(m.chains.units[owner].chain, [])
            chain.append((share, owner, expected, severity))
    for found in groups.values():
        # Of several the first: those behind a dead layer get no signal.
        share, owner, expected, severity = max(found, key=lambda one: (one[0], -one[1]))
        limit = m.limits.dead_error if severity == "error" else m.limits.dead_warning
        few = f"; {m.batch} inputs are few to tell" if m.batch < m.limits.dead_batch else ""
        more = f", too many also in {len(found) - 1} other layers" if found[1:] else ""
        yield Finding(
            "F07",
            severity,
            m.module(owner),
            f"{_percent(share)} of {m.chains.units[owner].width} units are 0 on every input{more}"
            + (few if share < 1 else ""),
            f"about {_percent(expected)}, from how alike the inputs are here",
            _percent(limit),
            _why_dead(m, owner),
            "zeros() for the bias, and he_normal() for the weight.",
            share,
        )


def _of_dead(m: Measurement, share: float, expected: float, count: int) -> Severity | None:
    if share == 1 and expected**count < _RARE:
        return "error"
    noise = 3 * math.sqrt(expected * (1 - expected) / count / m.draws)
    warning = expected + m.limits.dead_warning
    return level(share - noise, warning, max(m.limits.dead_error, expected))


def _why_dead(m: Measurement, owner: int) -> str:
    unit = m.chains.units[owner]
    node = m.nodes[unit.output]
    bias = m.values.get(node.param.name) if node.op == "shift" and node.param else None
    size = m.size(owner)
    if (
        bias is not None
        and bias.mean < 0
        and size is not None
        and -bias.mean > bias.std + 0.5 * size
    ):
        return f"The bias, {bias.mean:.3g} on average, outweighs the signal: no unit fires."
    return "Units that never fire get no gradient, and stay so."


def silent_by_chance(cosine: float | None, batch: int) -> float:
    """The expected share of units of mean 0 that are silent on a whole batch.

    Their inputs to the rectifier are normal, with this correlation between different inputs;
    without one, as for a batch of one, half of them are.
    """
    if cosine is None or batch < 2 or cosine >= 1:
        return 0.5
    shared = max(cosine, 0.0)
    z = np.linspace(-8.0, 8.0, 2001)
    weights = np.exp(-z * z / 2)
    reach = -math.sqrt(shared / (1 - shared)) * z
    below = np.array([math.erfc(-one / math.sqrt(2)) / 2 for one in reach])
    return float((weights * below**batch).sum() / weights.sum())
