"""Zeros: F10, weights and scales that are zero and stay so."""

from collections.abc import Iterator, Sequence

from fanin.checks._finding import Finding
from fanin.checks._measurement import Measurement
from fanin.checks._paths import is_open
from fanin.checks._symmetry import advise_random, behind, list_some, weights_of
from fanin.graph import reach


def judge_zero_weights(m: Measurement) -> Iterator[Finding]:
    """F10: one finding for each run of zero weights, of which the first gets no gradient."""
    if not m.weight_gradients:
        return
    for at, name in weights_of(m):
        if not _stays_zero(m, at, name) or _behind_zeros(m, at):
            continue
        series = _series(m, at)
        if len(series) == 1 and _waits(m, m.chains.uses[at].node):
            continue
        if len(series) == 1:
            yield _report_alone(m, at, name)
        else:
            yield _in_series(m, series)


def _waits(m: Measurement, position: int) -> bool:
    """Whether another zero moves first, or frozen ones switch a node off, as is meant."""
    if m.find_closing(position):
        return True
    frozen = {at for at, name in m.zeros.items() if name in m.held}
    closed = frozen | {at for at, zero in m.gated_zeros if zero in frozen}
    return bool(closed) and not is_open(m, position, closed)


def _stays_zero(m: Measurement, at: int, name: str) -> bool:
    return m.is_zero(name) and not m.moves(name) and m.values[name].units is not None


def _behind_zeros(m: Measurement, use: int) -> bool:
    """Whether all that feeds a weight are zero weights."""
    before = m.runs.uses[use].parents
    zeros = bool(before) and all(m.is_zero(m.chains.uses[use].name) for use in before)
    return zeros and not _gets_inputs(m, m.chains.uses[use].node)


def _gets_inputs(m: Measurement, position: int) -> bool:
    """Whether inputs reach a node past all zeros, as a signal does that a zero only modulates."""
    ways = reach([position], lambda at: [up for up in m.nodes[at].inputs if _carries(m, up)])
    given = (m.nodes[at] for at in ways if m.nodes[at].op == "input")
    return any("integers" not in node.flags for node in given)


def _carries(m: Measurement, position: int) -> bool:
    return position not in m.zeros and m.rms[position] != 0


def _series(m: Measurement, first: int) -> list[int]:
    """A zero weight and those behind it, one after another, that are zero too."""
    uses, found = m.runs.uses, [first]
    for at in range(first + 1, len(uses)):
        near = set(uses[at].parents) & set(found)
        if near and _behind_zeros(m, at) and m.is_zero(uses[at].name):
            found.append(at)
    return found


def _names(m: Measurement, uses: Sequence[int]) -> list[str]:
    return [m.chains.uses[use].name for use in uses]


def _in_series(m: Measurement, series: Sequence[int]) -> Finding:
    *random, last = dict.fromkeys(_names(m, series))
    listed = advise_random(m, list(zip(series, random, strict=False)))
    return Finding(
        "F10",
        "error",
        m.module(series[0]),
        measured=f"{random[0]} is zero and so is its gradient",
        expected="a gradient",
        limit="two in series",
        why=f"{list_some([*random[1:], last])} {'are' if random[1:] else 'is'} zero too, next to "
        "it in the chain: neither can move the other's units apart.",
        fix=f"{listed}; {last} alone may start at zeros().",
        value=0.0,
    )


def _report_alone(m: Measurement, at: int, name: str) -> Finding:
    heads = {m.chains.uses[use].name for use in m.chains.heads}
    moving = any(m.moves(use.name) for use in m.chains.uses if use.name not in heads)
    return Finding(
        "F10",
        "warning" if moving else "error",
        m.module(at),
        measured=f"{name} is zero and so is its gradient",
        expected="a gradient",
        limit="a zero weight without a gradient"
        if moving
        else "a zero weight without a gradient, and nothing but the readout moves",
        why="Nothing moves this weight from zero: what feeds it is zero, or what follows is.",
        fix=f"{behind(m, at)} for {name}; at most one weight in a row may start at zeros().",
        value=0.0,
    )


def judge_zero_scales(m: Measurement) -> Iterator[Finding]:
    """F10: scales, those of normalizations say, that are zero and get no gradient."""
    if not m.weight_gradients:
        return
    scales = {at: name for at, name in m.zeros.items() if m.nodes[at].op == "scale"}
    aside = {name for at, name in scales.items() if m.moves(name) or _waits(m, at)} | m.frozen
    found: dict[str, int] = {}
    for at, name in scales.items():
        if name not in aside:
            found.setdefault(name, at)
    if not found:
        return
    inside = all(_in_branch(m, at) for at in found.values())
    first = m.nodes[next(iter(found.values()))]
    yield Finding(
        "F10",
        "warning" if inside else "error",
        first.module,
        measured=f"{list_some([*found])}: zero, and so are their gradients",
        expected="a gradient",
        limit="a zero scale without a gradient",
        why="What they multiply comes out as zero, on every input, and no gradient passes.",
        fix=f"ones() for {', '.join(found)}.",
        value=0.0,
    )


def _in_branch(m: Measurement, at: int) -> bool:
    owner = m.chains.owners[at]
    return owner is not None and m.worst(owner) == "warning"
