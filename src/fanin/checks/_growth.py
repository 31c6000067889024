"""Growth: F15 residual streams that grow, F16 networks too narrow for their depth."""

import math
from collections.abc import Iterator, Sequence

from fanin.checks._finding import Finding
from fanin.checks._measurement import Measurement
from fanin.checks._verdict import level, number
from fanin.checks._width import path_beta


def stream_growth(m: Measurement) -> Iterator[Finding]:
    """F15: the variance at the end of a stream over that at its start."""
    limits = m.limits
    for members in m.chains.streams:
        first, last = m.rms[members[0]], m.rms[members[-1]]
        if not first or not last or not math.isfinite(last):
            continue
        if len(members) < 3 or _normalized(m, members):
            continue  # of a single block: there is no growth to go on
        growth = (last / first) ** 2
        severity = level(growth, limits.stream_warning, limits.stream_error)
        if severity is None:
            continue
        yield Finding(
            "F15",
            severity,
            m.nodes[members[-1]].module,
            f"variance grows {number(growth)} times over {len(members) - 1} residual blocks",
            "about 1 to 3 times",
            f"{limits.stream_error if severity == 'error' else limits.stream_warning:g}",
            "No normalization holds the stream, and each branch adds as much as it carries.",
            "zeros() for the last weight of each branch, or fanin.initialize(model, inputs=x, "
            "recipe='fixup').",
            growth,
        )


def _normalized(m: Measurement, members: Sequence[int]) -> bool:
    """Whether a branch of a stream, or the stream between two of them, is normalized."""
    above = m.chains.structure.above
    between = above[members[-1]] - above[members[0]]
    return any(m.nodes[at].op == "normalize" and m.chains.ends_at(at) for at in between)


def narrowness(m: Measurement) -> Iterator[Finding]:
    """F16: beta, outside of residual branches; and depth alone."""
    yield from _depth(m)
    limits = m.limits
    seen: set[int] = set()
    for path in m.chains.paths:
        chain = m.chains.units[path[0]].chain
        if chain in seen or set(path) & m.chains.in_branches:
            continue
        uses = {m.chains.units[unit].name: unit for unit in path}
        beta = path_beta(m.chains, list(uses.values()))  # one weight, step after step, is one draw
        severity = level(beta, limits.beta_warning, limits.beta_error)
        if severity is None:
            continue
        seen.add(chain)
        yield Finding(
            "F16",
            severity,
            m.module(path[-1]),
            f"beta {number(beta)} over {len(uses)} hidden layers",
            "below 0.5",
            f"{limits.beta_error if severity == 'error' else limits.beta_warning:g}",
            f"Signals of different draws differ by a factor of about "
            f"{number(math.exp(min(2.5 * beta, 50)))} in their length.",
            "Wider layers, fewer of them, or a normalization; fanin.check(factory, inputs, "
            "draws=10) judges the mean of ten.",
            beta,
        )


def _depth(m: Measurement) -> Iterator[Finding]:
    """The longest run of layers, normalized or not, that nothing leads past."""
    limits, units = m.limits, m.runs.units
    plain = [path for path in m.runs.paths if all(len(units[unit].parents) < 2 for unit in path)]
    longest = max(plain, key=len, default=())
    severity = level(len(longest), limits.depth_warning, limits.depth_error)
    if severity is None:
        return
    yield Finding(
        "F16",
        severity,
        m.module(longest[-1]),
        f"{len(longest)} hidden layers one behind another, and no residual connection",
        f"up to {limits.depth_warning}",
        f"{limits.depth_error if severity == 'error' else limits.depth_warning}",
        "At this depth gradients of different inputs have nothing in common, however well the "
        "weights are scaled.",
        "Residual connections around every few layers, or fewer layers.",
        float(len(longest)),
    )
