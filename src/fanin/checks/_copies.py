"""Copies: F09, weights that hold the same random numbers."""

import math
from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np

from fanin._columns import list_names
from fanin.checks._finding import Finding, Severity
from fanin.checks._measurement import Measurement
from fanin.frameworks import ParameterStats

_COMPARED = 32  # values, from the start
_ALIKE = 1e-2  # relative: more than rounding to 16 bits does, and never chance
_LISTED = 3


def judge_same_values(m: Measurement) -> Iterator[Finding]:
    """F09: one finding for each set of weights with the same numbers, or of modules with them."""
    yield from _find_repeats(m)
    modules: dict[tuple[str, ...], list[list[str]]] = {}
    for names in _sets(m):
        modules.setdefault(_without_common_end(names), []).append(names)
    for places, several in modules.items():
        severity, why = max((_judge_weights(m, names) for names in several), key=_is_warning)
        shown: Sequence[str] = places if len(several) > 1 else several[0]
        listed = list_names(shown[1:], _LISTED)
        weights = f", in {len(several)} weights" if len(several) > 1 else ""
        yield Finding(
            "F09",
            severity,
            shown[0],
            measured=f"the same numbers, up to a factor, as {listed}{weights}",
            expected="independent numbers",
            limit="any two weights",
            why=why,
            fix=(
                "One stream per parameter: fanin.initialize(model, seed=0, inputs=x), or seed "
                "once, before the first layer."
            ),
            value=float(len(shown)),
        )


def _find_repeats(m: Measurement) -> Iterator[Finding]:
    """Weights that hold the same rows several times: heads, members, packed matrices."""
    for name, values in m.values.items():
        gradient = m.weight_gradients.get(name)
        if name in m.frozen or gradient is None or gradient.pairs != values.units:
            continue  # units that never part are F08's
        told = tell_repeats(values)
        if not told:
            continue
        places, count = m.places.get(name, ()), values.repeats[0].count
        # As many uses as copies: layers that are stacked in one weight, and work one by one.
        used = [[at] for at in places] if len(places) == count else [places]
        severity, why = _severity(m, used, ())
        yield Finding(
            "F09",
            severity,
            name,
            measured=told,
            expected="independent numbers",
            limit="any two heads, members or packed matrices",
            why=why,
            fix=f"fanin.initialize(model, seed=0, inputs=x), which draws all of {name} anew.",
            value=float(count),
        )


def tell_repeats(values: ParameterStats) -> str:
    """Which rows of a weight come again; "" for none, or where they are no random numbers."""
    some = [
        repeat for repeat in values.repeats if _looks_random(np.array(repeat.start[:_COMPARED]))
    ]
    if not some:
        return ""
    first = some[0]
    told = f"{first.count} times the same {first.size} rows"
    if first.size * first.count == values.units:
        return told
    where = f", from row {first.first} on" if len(some) == 1 else f", and so {len(some)} times"
    return told + where


def _sets(m: Measurement) -> Iterator[list[str]]:
    """Trained weights with the same random numbers, up to a factor, in the order of the model."""
    names, starts = [], []
    for name, values in m.values.items():
        if len(values.shape) < 2 or name in m.frozen or len(values.start) < _COMPARED:
            continue
        if name not in m.weight_gradients:  # a copy that is not trained: a target network
            continue
        some = np.array(values.start[:_COMPARED])
        if _looks_random(some):
            names.append(name)
            starts.append(some / np.linalg.norm(some))
    if len(names) < 2:
        return
    matrix = np.array(starts)
    alike = np.abs(matrix @ matrix.T) > 1 - _ALIKE**2
    seen: set[int] = set()
    for index in range(len(names)):
        others = [int(at) for at in np.flatnonzero(alike[index]) if at > index and at not in seen]
        if index not in seen and others:
            seen.update(others)
            yield [names[index], *(names[at] for at in others)]


def _looks_random(some: np.ndarray) -> bool:
    """Nearly all different, and up and down: no table, no range, no structure of few values."""
    if not np.isfinite(some).all() or not some.any():
        return False
    steps = np.sign(np.diff(some))
    turns = int((steps[1:] * steps[:-1] < 0).sum())
    return len(np.unique(np.abs(some))) >= 0.9 * len(some) and turns >= len(some) // 3


def _without_common_end(names: Sequence[str]) -> tuple[str, ...]:
    """Where the names differ: the modules of which these weights are the same part."""
    parts = [name.split(".") for name in names]
    while min(map(len, parts)) > 1 and len({path[-1] for path in parts}) == 1:
        parts = [path[:-1] for path in parts]
    return tuple(".".join(path) for path in parts)


def _judge_weights(m: Measurement, names: Sequence[str]) -> tuple[Severity, str]:
    gradients = [m.slope(name) for name in names]
    return _severity(m, [m.places.get(name, ()) for name in names], gradients)


def _is_warning(judged: tuple[Severity, str]) -> bool:
    return judged[0] == "warning"


def _severity(
    m: Measurement, used: Sequence[Sequence[int]], gradients: Sequence[float]
) -> tuple[Severity, str]:
    """A warning for copies that work one behind another, or never part; else a note.

    `used` are the nodes that use each, `gradients` the norms of theirs, where they are known.
    """
    above = m.chains.structure.above
    if any(
        early in above[late]
        for first, second in permutations(used, 2)
        for early in first
        for late in second
    ):
        return "warning", (
            "One seed, one generator's state or one module that was copied made several layers "
            "that work one behind another; theory takes them for independent."
        )
    least, most = min(gradients, default=0.0), max(gradients, default=0.0)
    if least > 0 and math.isclose(most, least, rel_tol=1e-5):
        return "warning", "These copies get equal gradients: they stay copies, and do one's work."
    return "note", (
        "They work side by side, so nothing is wrong with the signal; they start as one and the "
        "same function, which heads, experts and ensembles are made to avoid."
    )
