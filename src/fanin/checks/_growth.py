"""Growth: F15 residual streams that grow, F16 networks too narrow for their depth."""

import math
from collections.abc import Iterator, Sequence

from fanin.checks._chains import ratio
from fanin.checks._finding import Finding
from fanin.checks._measurement import Measurement
from fanin.checks._verdict import level, number
from fanin.checks._width import path_beta


def judge_stream_growth(m: Measurement) -> Iterator[Finding]:
    """F15: the variance at the end of a stream over that at its start."""
    limits, told = m.limits, set[frozenset[str]]()
    for members in m.chains.streams:
        first, last = m.rms[members[0]], m.rms[members[-1]]
        if not first or not last or not math.isfinite(last):
            continue
        if len(members) < 3 or is_normalized(m, members):
            continue  # of a single block: there is no growth to go on
        growth = (last / first) ** 2
        severity = level(growth, limits.stream_warning, limits.stream_error)
        if severity is None:
            continue
        repeated = _find_repeated(m, members)
        if repeated:  # steps of one function, of an ODE say: no blocks of their own chance
            severity = "note"
            if repeated in told:
                continue
            told.add(repeated)
        yield Finding(
            "F15",
            severity,
            m.nodes[members[-1]].module,
            measured=(
                f"variance grows {number(growth)} times over {len(members) - 1} residual blocks"
            ),
            expected="about 1 to 3 times",
            limit=f"{limits.stream_error if severity == 'error' else limits.stream_warning:g}",
            why="No normalization holds the stream, and each branch adds as much as it carries.",
            fix="zeros() for the last weight of each branch, or fanin.initialize(model, inputs=x, "
            "recipe='fixup').",
            value=growth,
        )


def _find_repeated(m: Measurement, members: Sequence[int]) -> frozenset[str]:
    """The weights between the ends of a stream, where each works there more than once."""
    above = m.chains.structure.above
    between = above[members[-1]] - above[members[0]]
    names = [use.name for at in between if (use := m.nodes[at].param) is not None]
    return frozenset(names if all(names.count(name) > 1 for name in names) else ())


def is_normalized(m: Measurement, members: Sequence[int]) -> bool:
    """Whether a branch of a stream, or the stream between two of them, is normalized."""
    above = m.chains.structure.above
    between = above[members[-1]] - above[members[0]]
    return any(m.nodes[at].op == "normalize" and m.chains.ends_at(at) for at in between)


def judge_narrowness(m: Measurement) -> Iterator[Finding]:
    """F16: beta, outside of residual branches; and depth alone."""
    yield from _depth(m)
    limits = m.limits
    seen: set[int] = set()
    for path in m.chains.paths:
        chain = m.chains.uses[path[0]].chain
        if chain in seen or set(path) & m.chains.in_branches:
            continue
        uses = {m.chains.uses[use].name: use for use in path}
        beta = path_beta(m.chains, list(uses.values()))  # one weight, step after step, is one draw
        if beta <= limits.beta_note:
            continue
        error = beta > limits.beta_error
        seen.add(chain)
        yield Finding(
            "F16",
            "error" if error else "note",  # what chance makes of a draw, wider layers alone mend
            m.module(path[-1]),
            measured=f"beta {number(beta)} over {len(uses)} hidden layers",
            expected="below 0.5",
            limit=f"{limits.beta_error if error else limits.beta_note:g}",
            why=f"Signals of different draws differ by a factor of about "
            f"{number(math.exp(min(2.5 * beta, 50)))} in their length.",
            fix="Wider layers, fewer of them, or a normalization; fanin.check(factory, inputs, "
            "draws=10) judges the mean of ten.",
            value=beta,
        )


def _is_isometric(m: Measurement, path: Sequence[int]) -> bool:
    """Whether all weights of a path are orthogonal, and the gradient is as large at both ends."""
    uses = [m.runs.uses[use] for use in path]
    first, last = (m.gradients[uses[end].output] for end in (0, -1))
    if not first or not last or not all(m.values[use.name].orthogonal for use in uses):
        return False
    return ratio(first, last) < m.limits.backward_warning


def _depth(m: Measurement) -> Iterator[Finding]:
    """The longest run of layers, normalized or not, that nothing leads past."""
    limits, uses = m.limits, m.runs.uses
    plain = [path for path in m.runs.paths if all(len(uses[use].parents) < 2 for use in path)]
    longest = max(plain, key=len, default=())
    severity = level(len(longest), limits.depth_warning, limits.depth_error)
    if severity is None:
        return
    if _is_isometric(m, longest):
        severity = "warning"
    yield Finding(
        "F16",
        severity,
        m.module(longest[-1]),
        measured=f"{len(longest)} hidden layers one behind another, and no residual connection",
        expected=f"up to {limits.depth_warning}",
        limit=f"{limits.depth_error if severity == 'error' else limits.depth_warning}",
        why="At this depth gradients of different inputs have nothing in common, however well the "
        "weights are scaled.",
        fix="Residual connections around every few layers, or fewer layers.",
        value=float(len(longest)),
    )
