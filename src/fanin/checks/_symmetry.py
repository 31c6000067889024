"""Symmetry: F08, equal units."""

import math
from collections.abc import Iterator, Sequence
from functools import partial

from fanin._columns import list_names
from fanin.checks._copies import tell_repeats
from fanin.checks._finding import Finding
from fanin.checks._measurement import Measurement
from fanin.checks._remedy import initializer_for
from fanin.frameworks import GradientStats, ParameterStats
from fanin.graph import find_decays

list_some = partial(list_names, most=4)


def judge_symmetry(m: Measurement) -> Iterator[Finding]:
    """F08: units whose weights and gradients agree."""
    yield from _recurrent(m)
    yield from _find_shared_times(m)
    alike: dict[bool, list[tuple[int, str]]] = {}  # by whether all units are
    for at, name in weights_of(m):
        values, gradient = m.values[name], m.weight_gradients.get(name)
        if values.units is None or values.units < 2 or values.rms == 0 or name in m.held:
            continue  # of zeros F10 speaks; what is frozen is as it is meant to be
        units, pairs = _count(values, gradient)
        if pairs is None or pairs == units:
            if values.rows == 1 and at not in m.chains.heads:
                yield _report_biases(m, at, name, values.units)
            continue
        alike.setdefault(pairs == 1, []).append((at, name))
    for alone, found in alike.items():
        yield _report_alike(m, found, alone)


def _report_alike(m: Measurement, found: Sequence[tuple[int, str]], alone: bool) -> Finding:
    """Weights whose units never part: one cause for all of them."""
    (at, name), *others = found
    values = m.values[name]
    units, pairs = _count(values, m.weight_gradients[name])
    blocks = tell_repeats(values)
    return Finding(
        "F08",
        "error" if alone else "warning",
        m.module(at),
        measured=(
            f"{pairs} different of {units} units, in weights and gradients"
            + (f": {blocks}" if blocks else "")
            + (f"; such also in {list_some([name for _, name in others])}" if others else "")
        ),
        expected=f"{units}",
        limit="one" if alone else "any two alike",
        why=f"Equal units get equal gradients and never part. {name} looks like {m.recognize(at)}.",
        fix=f"{advise_random(m, found)}: random values break the symmetry.",
        value=float(pairs or 0),
    )


def _count(values: ParameterStats, gradient: GradientStats | None) -> tuple[int, int | None]:
    """The units of a weight, and how many differ in weights and gradients.

    Without packed matrices that are zero, of which F10 speaks.
    """
    blocks = values.blocks
    if gradient is None or all(block.rms > 0 for block in blocks):
        return values.units or 0, None if gradient is None else gradient.pairs
    kept = [pair for pair in zip(blocks, gradient.blocks, strict=False) if pair[0].rms > 0]
    return sum(block.units for block, _ in kept), sum(own.pairs or 0 for _, own in kept)


def advise_random(m: Measurement, found: Sequence[tuple[int, str]]) -> str:
    """The initializers of weights, each with the names that it is for."""
    words = {name: behind(m, at) for at, name in found}
    return "; ".join(
        f"{word} for {', '.join(name for name in words if words[name] == word)}"
        for word in dict.fromkeys(words.values())
    )


def _recurrent(m: Measurement) -> Iterator[Finding]:
    """F08 of recurrent modules, by the values of their weights alone: one finding for each."""
    found: dict[str, list[str]] = {}
    for node in m.nodes:
        for use in node.uses:
            values = m.values.get(use.name)
            if values is None or len(values.shape) < 2 or values.rms == 0 or values.rows != 1:
                continue
            names = found.setdefault(node.module, [])
            names += [use.name] if use.name not in names else []
    for module, names in found.items():
        yield Finding(
            "F08",
            "error",
            module,
            measured=f"1 different of {m.values[names[0]].shape[0]} rows of {list_some(names)}",
            expected=f"{m.values[names[0]].shape[0]}",
            limit="one",
            why="Units with equal weights in every gate get equal gradients and never part.",
            fix=f"glorot_uniform() for {', '.join(names)}: random values break the symmetry; or "
            "fanin.initialize(model, inputs=x) for the whole model.",
            value=1.0,
        )


def _find_shared_times(m: Measurement) -> Iterator[Finding]:
    """F08: a note where all heads of a state space start with one decay rate and one time step."""
    for at, steps in find_decays(m.chains.structure):
        shifts = [m.nodes[step].param for step in steps if m.nodes[step].op == "shift"]
        names = list(dict.fromkeys(use.name for use in (m.nodes[at].param, *shifts) if use))
        if not shifts or not all(_is_shared(m.values.get(name)) for name in names):
            continue
        count = math.prod(m.values[names[0]].shape)
        yield Finding(
            "F08",
            "note",
            m.nodes[at].module,
            measured=f"one value in all of {' and '.join(names)}",
            expected=f"{count} decay rates or time steps",
            limit="all alike",
            why=f"All {count} start with one memory, and none remembers longer than another.",
            fix="fanin.initialize(model, inputs=x, recipe='mamba'): time steps from 0.001 to 0.1.",
            value=1.0,
        )


def _is_shared(values: ParameterStats | None) -> bool:
    """Whether a parameter has several values, and all are one."""
    several = values is not None and math.prod(values.shape) > 1
    return several and values is not None and values.low == values.high


def _report_biases(m: Measurement, at: int, name: str, units: int) -> Finding:
    """Equal weights beside different biases: units see one number of the input."""
    return Finding(
        "F08",
        "warning",
        m.module(at),
        measured=f"1 different of {units} rows of the weight",
        expected=f"{units}",
        limit="any two alike",
        why=f"All units see the same sum of their inputs, and differ by their biases alone. {name} "
        f"looks like {m.recognize(at)}.",
        fix=f"{behind(m, at)} for {name}: random values break the symmetry.",
        value=1.0,
    )


def behind(m: Measurement, unit: int) -> str:
    """The initializer for the activation before a weight, or behind it where that is the first."""
    parents = m.chains.uses[unit].parents
    label = m.activation(parents[0] if parents else unit)
    found = initializer_for(label)
    return "glorot_uniform()" if found in ("glorot_normal()", "lecun_normal()") else found


def weights_of(m: Measurement) -> Iterator[tuple[int, str]]:
    """Every weight at its first use."""
    seen: set[str] = set()
    for at, unit in enumerate(m.chains.uses):
        if unit.name not in seen and unit.name in m.values:
            seen.add(unit.name)
            yield at, unit.name
