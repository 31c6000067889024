"""Starved: weights that get no gradient to speak of, and what keeps it from them."""

from collections.abc import Iterator

from fanin.checks._closed import Closed, explain
from fanin.checks._measurement import Measurement

_AT_ONCE = 1e-5  # of a gradient, what an operation leaves that takes it away


def find_starved(m: Measurement) -> dict[str, Closed]:
    """Weights with next to no gradient beside others', and the operation that lets none through.

    Those alone that one operation starves: what shrinks from layer to layer is F03's.
    """
    explained = ((name, why_starved(m, name)) for name in m.values)
    found = {name: closed for name, closed in explained if closed is not None}
    return {name: found.get(closed.gate, closed) for name, closed in found.items()}


def why_starved(m: Measurement, name: str) -> Closed | None:
    """What closes every way from such a weight to the loss; None for any other."""
    starved = name in m.weight_gradients and m.slope(name) <= m.least_slope
    if not starved or len(m.values[name].shape) < 2 or name in m.frozen or m.is_zero(name):
        return None
    places = m.places.get(name, ())
    if any(m.find_closing(at) for at in places):
        return None  # it opens later
    ways = {tuple(way): explain(m, way) for at in places for way in _ways_out(m, at)}
    known = [closed for closed in ways.values() if closed is not None]
    # Of x / (x + 1e-9) both operands have a gradient, and the two cancel before.
    ends = [m.chains.structure.up_to(closed.node) for closed in known]
    if not all(closed or any(way[-1] in end for end in ends) for way, closed in ways.items()):
        return None
    return known[0] if known else None


def _ways_out(m: Measurement, start: int) -> Iterator[list[int]]:
    """The ways on which a gradient is lost at once, from the last node without to the first with.

    Between them are nodes whose gradients are not looked at.
    """
    users, seen = m.chains.structure.users, {start}
    front = [(m.gradients[start], [start])]
    while front:
        last, way = front.pop()
        for user in users[way[-1]]:
            own = m.gradients[user]
            if own is not None and last is not None and own * _AT_ONCE > last:
                yield [*way, user]
            elif user not in seen:
                seen.add(user)
                front.append((last, [*way, user]) if own is None else (own, [user]))
