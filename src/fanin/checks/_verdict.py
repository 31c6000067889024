"""Verdict: how bad a ratio is, by what was measured and by what theory expects."""

import math
from dataclasses import dataclass

from fanin.checks._chains import ratio
from fanin.checks._finding import SEVERITIES, Severity


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a ratio comes to. `by_chance` says that only the finite width may be to blame."""

    severity: Severity | None
    judged: float  # the ratio that was judged: theory's, inside of the band around it
    by_chance: bool = False


def level(value: float, warning: float, error: float) -> Severity | None:
    """The severity of a value that is the worse the larger it is."""
    if math.isnan(value) or value > error:
        return "error"
    return "warning" if value > warning else None


def judge(
    measured: float, theory: float | None, band: float, warning: float, error: float
) -> Verdict:
    """The verdict on a ratio that should be near 1, with the finite-width band around theory."""
    own = level(ratio(measured, 1.0), warning, error)
    expected = 1.0 if theory is None else theory
    if measured <= 0 or expected <= 0 or abs(math.log(measured / expected)) > band:
        return Verdict(own, measured)
    by_theory = level(ratio(expected, 1.0), warning, error)
    return Verdict(by_theory, expected, by_chance=_rank(own) > _rank(by_theory))


def _rank(severity: Severity | None) -> int:
    return -1 if severity is None else SEVERITIES.index(severity)


def number(value: float | None) -> str:
    """Three digits, as people write them."""
    if value is None:
        return "unknown"
    return f"{value:.3g}"


def count_layers(count: int, what: str = "") -> str:
    """How many layers: "1 layer", "2 other layers"."""
    return f"{count} {what}{' ' * bool(what)}layer{'s' * (count != 1)}"
