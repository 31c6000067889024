"""Activity: F05 saturation, F06 sigmoids in depth, F07 dead units."""

import math
from collections.abc import Iterator

import numpy as np

from fanin.checks._cause import reviving, smaller
from fanin.checks._finding import Finding, Severity
from fanin.checks._measurement import Measurement
from fanin.checks._note import Note
from fanin.checks._remedy import SIGMOIDS, STEPS
from fanin.checks._streams import see_through_moves
from fanin.checks._verdict import count_layers, level

_RARE = 0.01  # the chance at which a whole layer that is dead is no accident


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 or share == 0 else f"{share:.1%}"


def judge_saturation(m: Measurement) -> Iterator[Finding]:
    """F05: one finding for each chain, at the layer that saturates most."""
    limits = m.limits
    groups: dict[object, list[tuple[float, int]]] = {}
    for at, share in m.flat.items():
        owner = m.chains.owners[at]
        label = m.nodes[at].label
        # A tanh that a sigmoid gates is the signal: what the state of an LSTM takes up.
        if owner is None or label in STEPS or m.chains.is_factor(at):
            continue
        if label in SIGMOIDS and m.chains.gates(at):
            continue
        if share > limits.saturated_warning:
            groups.setdefault(m.chains.uses[owner].chain, []).append((share, at))
    for found in groups.values():
        share, at = max(found, key=lambda entry: (entry[0], -entry[1]))
        owner = m.chains.owners[at]
        assert owner is not None
        label = m.nodes[at].label
        few = len(found) <= limits.saturated_few
        limit = limits.saturated_few_error if few else limits.saturated_error
        error = share > limit and m.worst(owner) == "error"
        more = (
            f", and more than a fifth in {count_layers(len(found) - 1, 'other')}"
            if found[1:]
            else ""
        )
        yield Finding(
            "F05",
            "error" if error else "warning",
            m.module(owner),
            measured=f"{_percent(share)} of the {label} values are where it is flat{more}",
            expected="at most 15%",
            limit=_percent(limit if error else limits.saturated_warning),
            why=f"Saturated units pass no gradient: the weights, or the inputs, are too large for "
            f"{label}. They look like {m.recognize(owner)}.",
            fix=_fix_of_saturation(m, found, label),
            value=share,
        )


def _fix_of_saturation(m: Measurement, found: list[tuple[float, int]], label: str) -> str:
    """What to write for all layers of a chain that are saturated, the worst first."""
    worst_first = sorted(found, key=lambda entry: (-entry[0], entry[1]))
    owners = [m.chains.owners[at] for _, at in worst_first]
    return smaller(m, list(dict.fromkeys(owner for owner in owners if owner is not None)), label)


def judge_deep_sigmoid(m: Measurement) -> Iterator[Finding]:
    """F06: sigmoid as the activation of several hidden layers of one chain: the longest row."""
    rows = _sigmoids_in_a_row(m)
    row = max(rows, key=len, default=())
    if len(row) < m.limits.sigmoids_warning:
        return
    owner = m.chains.owners[row[0]]
    yield Finding(
        "F06",
        "warning",
        m.nodes[row[0]].module if owner is None else m.module(owner),
        measured=f"{len(row)} hidden layers with sigmoid in one chain",
        expected=f"fewer than {m.limits.sigmoids_warning}",
        limit=f"{m.limits.sigmoids_warning}",
        why="A sigmoid is 0.25 steep at most, so gradients fall by 0.21 a layer at Xavier's scale.",
        fix="tanh with glorot_normal(), or ReLU with he_normal(), in place of sigmoid; or a "
        "normalization before each sigmoid.",
        value=float(len(row)),
    )


def _sigmoids_in_a_row(m: Measurement) -> list[tuple[int, ...]]:
    """For every weight, the sigmoids that its input went through, one after another.

    A sum goes on with the longer row of its operands, but a residual one with its stream: the
    branch is led past. Behind a shortcut with a weight of its own, or a low-rank update, the sum is
    one layer.
    """
    structure = m.chains.structure
    rows: list[tuple[int, ...]] = []
    found: list[tuple[int, ...]] = []
    for at, node in enumerate(m.nodes):
        residual = structure.residuals.get(at)
        sources = node.inputs
        if residual is not None and not residual.shortcut:
            sources = (residual.stream,)
        fed: list[tuple[int, ...]] = (
            [] if m.chains.ends_at(at) else [rows[source] for source in sources]
        )
        row = max(fed, key=len, default=())
        if node.op == "linear":
            found.append(row)
        if node.op == "pointwise" and node.function in SIGMOIDS:
            row = row if m.chains.gates(at) or m.chains.is_factor(at) else (*row, at)
        rows.append(row)
    return found


def judge_dead_units(m: Measurement) -> Iterator[Finding | Note]:
    """F07: units that are silent on all inputs, beyond what inputs so alike would leave silent.

    One finding for each chain, at the layer with the most.
    """
    if m.silent and m.batch < m.limits.dead_batch:
        rare = f"with probability {0.99**m.batch:.2g} (F07)."
        yield Note(
            "F07",
            f"{m.batch} inputs: a unit that fires on 1 of 100 is silent on all of them {rare}",
        )
    groups: dict[int, list[tuple[float, int, float, Severity]]] = {}
    for at, share in m.silent.items():
        owner = m.chains.owners[at]
        if share <= m.limits.dead_warning or owner is None:
            continue
        use = m.chains.uses[owner]
        fed = m.rms[see_through_moves(m.nodes, m.nodes[use.node].inputs[0])]
        if m.is_zero(use.name) or fed == 0 or _is_scaled_to_zero(m, use.node, at):
            continue  # F10 speaks of it, or F07 of what is before
        look = m.looks.get(m.chains.uses[owner].output)
        expected = silent_by_chance(None if look is None else look.cosine, m.batch)
        severity = _of_dead(m, share, expected, m.chains.uses[owner].width)
        severity = m.soften(owner, severity)
        if severity is not None:
            chain = groups.setdefault(m.chains.uses[owner].chain, [])
            chain.append((share, owner, expected, severity))
    for found in groups.values():
        # Of several the first: those behind a dead layer get no signal.
        share, owner, expected, severity = max(found, key=lambda entry: (entry[0], -entry[1]))
        limit = m.limits.dead_error if severity == "error" else m.limits.dead_warning
        few = f"; {m.batch} inputs are few to tell" if m.batch < m.limits.dead_batch else ""
        more = f", too many also in {count_layers(len(found) - 1, 'other')}" if found[1:] else ""
        yield Finding(
            "F07",
            severity,
            m.module(owner),
            measured=(
                f"{_percent(share)} of {m.chains.uses[owner].width} units are 0 on every "
                f"input{more}" + (few if share < 1 else "")
            ),
            expected=f"about {_percent(expected)}, from how alike the inputs are here",
            limit=_percent(limit),
            why=_why_dead(m, owner),
            fix=reviving(m, owner),
            value=share,
        )


def _is_scaled_to_zero(m: Measurement, node: int, position: int) -> bool:
    """Whether a scale that is zero lies between two nodes: the weight of a normalization."""
    above = m.chains.structure.above
    between = (m.nodes[at] for at in above[position] - above[node])
    return any(
        scale.op == "scale" and scale.param is not None and m.is_zero(scale.param.name)
        for scale in between
    )


def _of_dead(m: Measurement, share: float, expected: float, count: int) -> Severity | None:
    if share == 1 and expected**count < _RARE:
        return "error"
    noise = 3 * math.sqrt(expected * (1 - expected) / count / m.draws)
    warning = expected + m.limits.dead_warning
    return level(share - noise, warning, max(m.limits.dead_error, expected))


def _why_dead(m: Measurement, owner: int) -> str:
    use = m.chains.uses[owner]
    node = m.nodes[use.output]
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
    below = np.array([math.erfc(-distance / math.sqrt(2)) / 2 for distance in reach])
    return float((weights * below**batch).sum() / weights.sum())
