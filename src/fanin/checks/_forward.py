"""Forward: F02, the signal's scale along chains; F12, weights that do not fit their activation."""

import math
from collections.abc import Iterator, Sequence

from fanin.checks._cause import advice, has_bias
from fanin.checks._chains import ratio
from fanin.checks._finding import Finding
from fanin.checks._measurement import Measurement
from fanin.checks._note import Note
from fanin.checks._paths import fair, one_each
from fanin.checks._remedy import write
from fanin.checks._streams import see_through_moves
from fanin.checks._verdict import count_layers, judge, number
from fanin.checks._width import band, path_beta


def judge_forward_scale(m: Measurement) -> Iterator[Finding | Note]:
    """F02, and F04 where only chance speaks: one finding for each chain."""
    yield from one_each((*_scales(m), *_before_readouts(m)))


def _scales(m: Measurement) -> Iterator[tuple[int, Finding]]:
    limits = m.limits
    for path in m.chains.paths:
        uses = cut_hidden(m, path)
        if len(uses) < 2:
            continue
        chain = m.chains.uses[uses[0]].chain
        first, last = m.size(uses[0]), m.size(uses[-1])
        if first is None or last is None or first == 0:
            continue
        change = fair(m, uses, last / first, m.rms)
        theory, room = m.theory.forward(uses), band(path_beta(m.chains, uses[:-1]), m.draws)
        found = judge(change, theory, room, limits.forward_warning, limits.forward_error)
        severity = "error" if last < m.tiny else found.severity
        if severity is not None and m.worst(uses[-1]) != "error":
            severity = "note"  # the stream leads past
        if found.by_chance:
            yield chain, by_chance("F02", m, m.module(uses[-1]), change, theory, room)
        if severity is None:
            continue
        limit = limits.forward_error if severity == "error" else limits.forward_warning
        at = _first_beyond(m, uses, limit)
        rest = len(uses) - 1 - at
        end = f", and {number(last / first)} times it {count_layers(rest)} on" if rest else ""
        yield (
            chain,
            Finding(
                "F02",
                severity,
                m.module(uses[at]),
                measured=(
                    f"RMS {number(m.size(uses[at]))}, {number((m.size(uses[at]) or 0) / first)} "
                    f"times that of {count_layers(at)} before{end}"
                ),
                expected="a ratio near 1"
                if theory is None
                else f"{number(theory)} from the weights' variances",
                limit=f"1/{limit:g} to {limit:g}",
                why=_why(m, change, len(uses) - 1, last < m.tiny),
                fix=advice(m, uses),
                value=last / first,
            ),
        )


def _before_readouts(m: Measurement) -> Iterator[tuple[int, Finding]]:
    """Signals that explode on their way to a readout through operations that make no chain.

    Such as products with weights that are products themselves: theory knows nothing of them.
    """
    given = {at for at, node in enumerate(m.nodes) if node.op in ("input", "lookup")}
    first = max(1.0, *(m.rms[at] or 0.0 for at in given if "integers" not in m.nodes[at].flags))
    limit = m.limits.forward_error
    for at in sorted(m.chains.heads):
        use = m.runs.uses[at]
        size = m.rms[see_through_moves(m.nodes, m.nodes[use.node].inputs[0])]
        if use.parents or size is None or not limit * first < size < math.inf:
            continue
        yield (
            use.chain,
            Finding(
                "F02",
                "error",
                m.module(at),
                measured=f"RMS {number(size)} of what the readout is given, {number(size / first)} "
                "times that of the inputs",
                expected="a ratio near 1",
                limit=f"{limit:g}",
                why="The signal explodes on its way there, through operations that are no layers "
                "of their own.",
                fix="Smaller weights before it, until each operation gives numbers as large as it "
                "is given; or normalizations between them.",
                value=size / first,
            ),
        )


def _first_beyond(m: Measurement, uses: Sequence[int], limit: float) -> int:
    """Where along a path the signal first differs by more than the limit; else its end."""
    first = m.size(uses[0]) or 1.0
    sizes = ((at, m.size(use)) for at, use in enumerate(uses) if at)
    beyond = (at for at, size in sizes if size is not None and ratio(size, first) > limit)
    return next(beyond, len(uses) - 1)


def cut_hidden(m: Measurement, path: Sequence[int]) -> list[int]:
    """A path up to its first output that is not finite, or 0 because the weight is.

    It begins and ends where something was computed: of x (U V) there is no x U.
    """
    uses: list[int] = []
    for use in path:
        place = m.chains.uses[use]
        size = m.rms[place.output]
        if m.is_zero(place.name) or (size is not None and not math.isfinite(size)):
            break
        uses.append(use)
    seen = [at for at, use in enumerate(uses) if m.size(use) is not None]
    return uses[seen[0] : seen[-1] + 1] if seen else []


def _why(m: Measurement, change: float, steps: int, underflow: bool) -> str:
    if change <= 0:
        return "no signal gets through: every unit on the way is silent."
    factor = change ** (1 / steps)
    text = f"The signal changes by {number(factor)} a layer"
    if underflow:
        return text + ", below what the model's type can hold."
    depths = [
        math.ceil(math.log(limit) / max(abs(math.log(factor)), 1e-9))
        for limit in (m.limits.forward_warning, m.limits.forward_error)
    ]
    return text + f": {depths[0]} layers reach the limit of a warning, {depths[1]} of an error."


def by_chance(
    rule: str, m: Measurement, place: str, measured: float, theory: float | None, room: float
) -> Finding:
    """F04: a ratio beyond a limit of `rule` that theory does not explain, nor rules out."""
    more = max(10, 4 * m.draws)
    return Finding(
        "F04",
        "note",
        place,
        measured=f"ratio {number(measured)}, inside the finite-width band around theory",
        expected=(
            f"{number(theory if theory is not None else 1.0)} within a factor "
            f"{number(math.exp(room))}"
        ),
        limit=f"the limits of {rule}",
        why=(
            f"The layers are so narrow that one draw may be this far off: no verdict of {rule} "
            "here."
        ),
        fix=f"fanin.check(factory, inputs, draws={more}), with a function that makes the model.",
        value=measured,
    )


def judge_gain_mismatch(m: Measurement) -> Iterator[Finding]:
    """F12: one finding for each chain, at the weight that is farthest off."""
    limits = m.limits
    chains = m.chains
    skipped = chains.in_branches | chains.heads
    worst: dict[int, list[tuple[float, int, float]]] = {}
    for at, link in m.theory.links.items():
        use = chains.uses[at]
        if at in skipped or m.is_zero(use.name) or m.fits(at) or chains.gates(use.output):
            continue
        # Where one direction keeps its scale, the other is not the weight's to mend.
        factor = min(link.forward, link.backward, key=lambda factor: abs(_log(factor)))
        worst.setdefault(chains.uses[at].chain, []).append((abs(_log(factor)), at, factor))
    for found in worst.values():
        size, at, factor = max(found)
        off = math.exp(min(size, 700.0))
        if off <= limits.gain_note:
            continue
        others = sum(entry[0] > math.log(limits.gain_note) for entry in found) - 1
        beyond = sum(entry[0] > math.log(limits.gain_error) for entry in found)
        # Few layers take the signal nowhere; what many do F02 and F03 measure.
        error = off > limits.gain_error and off**beyond > limits.forward_error
        depth = math.ceil(math.log(limits.forward_error) / size) if size else 0
        before = m.activation(chains.uses[at].parents[0])
        limit = limits.gain_error if error else limits.gain_note
        yield Finding(
            "F12",
            "error" if error else "note",
            m.module(at),
            measured=f"factor {number(factor)} on the standard deviation"
            + (f", and {others} more of {len(found)} layers off" if others else ""),
            expected="1",
            limit=f"within a factor {limit:g}",
            why=f"This weight does not fit {before or 'a layer without activation'}: "
            f"{depth} such layers change the scale by {limits.forward_error:g}.",
            fix=write(before, biased=has_bias(m, at)),
            value=factor,
        )


def _log(factor: float) -> float:
    return math.log(factor) if 0 < factor < math.inf else 700.0
