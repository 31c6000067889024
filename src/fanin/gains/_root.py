"""Roots of a function of one variable between two points of opposite sign."""

from collections.abc import Callable


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where the function is 0, to the last bits; it has opposite signs at `low` and `high`.

    Illinois' false position: an end that stays twice loses half of its value, so that both close
    in.
    """
    at_low, at_high = function(low), function(high)
    for _ in range(100):
        if not at_low or not at_high or abs(high - low) <= 1e-14 * (abs(low) + abs(high)):
            break
        middle = (low * at_high - high * at_low) / (at_high - at_low)
        at_middle = function(middle)
        if (at_middle > 0) == (at_high > 0):
            at_low /= 2
        else:
            low, at_low = high, at_high
        high, at_high = middle, at_middle
    return high if at_high == 0 or at_low else low
