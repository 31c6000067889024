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
from fanin.checks._verdict import judged, level, number
from fanin.checks._width import band, path_beta


def forward_scale(m: Measurement) -> Iterator[Finding | Note]:
    """F02, and F04 where only chance speaks: one finding for each chain."""
    yield from one_each(_scales(m))


def _scales(m: Measurement) -> Iterator[tuple[int, Finding]]:
    limits = m.limits
    for path in m.chains.paths:
        units = hidden_part(m, path)
        if len(units) < 2:
            continue
        chain = m.chains.units[units[0]].chain
        first, last = m.size(units[0]), m.size(units[-1])
        if first is None or last is None or first == 0:
            continue
        change = fair(m, units, last / first, m.rms)
        theory, room = m.theory.forward(units), band(path_beta(m.chains, units[:-1]), m.draws)
        found = judged(change, theory, room, limits.forward_warning, limits.forward_error)
        severity = m.softened(units[-1], "error" if last < m.tiny else found.severity)
        if found.by_chance:
            yield chain, by_chance("F02", m, m.module(units[-1]), change, theory, room)
        if severity is None:
            continue
        limit = limits.forward_error if severity == "error" else limits.forward_warning
        at = _first_beyond(m, units, limit)
        rest = len(units) - 1 - at
        yield (
            chain,
            Finding(
                "F02",
                severity,
                m.module(units[at]),
                f"RMS {number(m.size(units[at]))}, {number((m.size(units[at]) or 0) / first)} "
                f"times that of {at} layers before"
                + (f", and {number(last / first)} times it {rest} layers on" if rest else ""),
                "a ratio near 1"
                if theory is None
                else f"{number(theory)} from the weights' variances",
                f"1/{limit:g} to {limit:g}",
                _why(m, change, len(units) - 1, last < m.tiny),
                advice(m, units),
                last / first,
            ),
        )


def _first_beyond(m: Measurement, units: Sequence[int], limit: float) -> int:
    """Where along a path the signal first differs by more than the limit; else its end."""
    first = m.size(units[0]) or 1.0
    beyond = (
        at for at, unit in enumerate(units) if at and ratio(m.size(unit) or 0.0, first) > limit
    )
    return next(beyond, len(units) - 1)


def hidden_part(m: Measurement, path: Sequence[int]) -> list[int]:
    """A path up to its first output that is not finite, or 0 because the weight is."""
    units: list[int] = []
    for unit in path:
        if m.size(unit) is None or m.is_zero(m.chains.units[unit].name):
            break
        units.append(unit)
    return units


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
        f"ratio {number(measured)}, inside the finite-width band around theory",
        f"{number(theory if theory is not None else 1.0)} within a factor {number(math.exp(room))}",
        f"the limits of {rule}",
        f"The layers are so narrow that one draw may be this far off: no verdict of {rule} here.",
        f"fanin.check(factory, inputs, draws={more}), with a function that makes the model.",
        measured,
    )


def gain_mismatch(m: Measurement) -> Iterator[Finding]:
    """F12: one finding for each chain, at the weight that is farthest off."""
    limits = m.limits
    chains = m.chains
    skipped = chains.in_branches | chains.heads
    worst: dict[int, list[tuple[float, int, float]]] = {}
    for at, link in m.theory.links.items():
        unit = chains.units[at]
        if at in skipped or m.is_zero(unit.name) or m.fits(at) or chains.gates(unit.output):
            continue
        # Where one direction keeps its scale, the other is not the weight's to mend.
        factor = min(link.forward, link.backward, key=lambda factor: abs(_log(factor)))
        worst.setdefault(chains.units[at].chain, []).append((abs(_log(factor)), at, factor))
    for found in worst.values():
        size, at, factor = max(found)
        off = math.exp(min(size, 700.0))
        if off <= limits.gain_note:
            continue
        severity = level(off, limits.gain_warning, limits.gain_error) or "note"
        others = sum(entry[0] > math.log(limits.gain_note) for entry in found) - 1
        if severity == "warning" and not others:
            severity = "note"  # one layer alone takes the signal nowhere
        beyond = sum(entry[0] > math.log(limits.gain_error) for entry in found)
        if severity == "error" and off**beyond <= limits.forward_error:
            severity = "warning"
        depth = math.ceil(math.log(limits.forward_error) / size) if size else 0
        before = m.activation(chains.units[at].parents[0])
        limit = limits.gain_error if severity == "error" else limits.gain_warning
        yield Finding(
            "F12",
            severity,
            m.module(at),
            f"factor {number(factor)} on the standard deviation"
            + (f", and {others} more of {len(found)} layers off" if others else ""),
            "1",
            f"within a factor {limit:g}",
            f"This weight does not fit {before or 'a layer without activation'}: "
            f"{depth} such layers change the scale by {limits.forward_error:g}.",
            write(before, biased=has_bias(m, at)),
            factor,
        )


def _log(factor: float) -> float:
    return math.log(factor) if 0 < factor < math.inf else 700.0
