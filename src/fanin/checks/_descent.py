"""Descent: F22, gradients that are too small for steps of their own size, as those of SGD."""

import math
from collections.abc import Iterator

from fanin.checks._finding import Finding
from fanin.checks._levels import levels_of, tell_closed
from fanin.checks._measurement import Measurement
from fanin.checks._verdict import number

_UNTRAINED = 0.5  # of the loss of guessing: below, a network has learned
_AT_LEAST = 1e-30  # the size of a weight that is zero and gets a gradient: it moves at once


def judge_weak_gradient(m: Measurement) -> Iterator[Finding]:
    """F22, by steps as long as the gradient: those of SGD at rate 0.1 with momentum 0.9."""
    chance, limits = _chance(m), m.limits
    if m.sgd is False or m.loss is None or chance is None or not m.loss > _UNTRAINED * chance:
        return
    norms = {
        name: found.norm
        for name, found in m.weight_gradients.items()
        if len(m.values[name].shape) > 1 and name not in m.frozen
    }
    squares = sum(norm**2 for norm in norms.values())
    if not 0 < squares < math.inf:
        return  # F10, F17 and F01 say why
    steps = m.loss / squares
    moved = max(norm / max(_norm(m, name), _AT_LEAST) for name, norm in norms.items())
    if steps <= limits.descent_steps or moved >= limits.descent_moved:
        return
    told = map(tell_closed, levels_of(m))
    shut, opening = next((each for each in told if any(each)), ("", ""))
    larger = opening or "Larger weights: fanin.initialize(model, inputs=x)"
    yield Finding(
        "F22",
        "error" if m.sgd else "note",
        "",
        measured=f"the gradient of all weights has norm {number(math.sqrt(squares))}, at a loss of "
        f"{number(m.loss)}: {number(steps)} steps of SGD to its end at the speed of the first, "
        f"which moves no weight by more than {number(moved)} of its size",
        expected="1 to 100 steps",
        limit=f"{limits.descent_steps:g} steps, and {limits.descent_moved:g} of a weight",
        why="SGD moves by the gradient's own size, here at rate 0.1 with momentum 0.9; Adam and "
        f"AdamW divide by it. {shut}".rstrip(),
        fix=f"{larger}; or AdamW in place of SGD."
        if m.sgd
        else "With SGD larger weights: fanin.initialize(model, inputs=x); with Adam nothing.",
        value=steps,
    )


def _norm(m: Measurement, name: str) -> float:
    values = m.values[name]
    return values.rms * math.sqrt(math.prod(values.shape))


def _chance(m: Measurement) -> float | None:
    """The loss of guessing; None of a loss that is neither cross-entropy nor squares."""
    if m.classes is not None:
        return math.log(max(m.classes, 1))
    return None if m.targets is None else m.targets.std**2
