"""First steps: F19 steps that are too large or too small, F20 units that die of them."""

import math
from collections.abc import Iterator, Sequence

from fanin._columns import list_names
from fanin.checks._finding import SEVERITIES, Finding, Severity
from fanin.checks._finite import judge_non_finite
from fanin.checks._measurement import Measurement
from fanin.checks._note import Note
from fanin.checks._verdict import count_layers, level, number
from fanin.frameworks import FirstSteps

# Of an adaptive optimizer, the change of a step over the weights' size that rates in use give:
# Adam at 1e-3 on weights of standard deviation 0.02 to 1.
_USUAL = 1e-3, 0.05
_STABLE = 0.05, 0.5  # of the highest rate that is stable


def judge_step_size(m: Measurement) -> Iterator[Finding | Note]:
    """F19: one finding, with all that speaks for it; else a note with what was seen."""
    steps = m.steps
    if steps is None or not math.isfinite(steps.losses[0]):
        return  # F01 speaks of a loss that is not finite from the start
    large = [*_too_large(m, steps)]
    if large and (dying := _dying(m)):
        died, owner = max(dying)
        silent = f"{died:.0%} of the units of {m.module(owner)} fall silent"
        large.append((silent, _of_dying(m, died, owner)))
    for told in steps.notes:
        yield Note("F19", f"{steps.optimizer}: {told}")
    still = _find_unmoved(m, steps)
    if large:
        severity = max((how for _, how in large), key=SEVERITIES.index)
        yield Finding(
            "F19",
            severity,
            _first_broken(m),
            measured=f"{steps.optimizer}: {'; '.join(text for text, _ in large)}",
            expected="a loss that falls",
            limit=_limit(m, severity),
            why="The steps are too large for this network from these weights: what one step "
            "improves the next one overshoots.",
            fix=f"A smaller rate: {_advise(m, steps)}. Or a warm-up, with clipped gradients.",
            value=steps.lr,
        )
    elif still:
        yield _report_still(m, steps, still)
    else:
        yield Note("F19", f"{steps.optimizer}: {_fall(steps)}. {_advise(m, steps)}.")


def _too_large(m: Measurement, steps: FirstSteps) -> Iterator[tuple[str, Severity]]:
    """What says that steps are too large, and how severe it is."""
    limits, first, last = m.limits, steps.losses[0], steps.losses[-1]
    if not steps.whole or not math.isfinite(last):
        yield f"after {len(steps.losses) - 1} steps the loss or a gradient is not finite", "error"
    else:
        rise = level((last - first) / (abs(first) or 1.0), limits.rise_warning, limits.rise_error)
        if rise is not None:
            yield _fall(steps), rise
    change = _median([max(sizes) for sizes in _changes(m, steps)])
    if steps.whole and change is not None and change > limits.moved_high:
        yield f"a step changes weights by {number(change)} of their size", "warning"
    sharp = steps.sharpness
    if sharp is not None and steps.lr is not None and steps.lr > sharp.highest:
        beyond = steps.lr / sharp.highest
        yield (
            f"the rate is {number(beyond)} times the highest stable one, "
            f"{number(sharp.highest)}, of sharpness {number(sharp.value)} "
            f"(error {number(sharp.error)})",
            "warning" if beyond > limits.beyond_stable else "note",
        )


def _fall(steps: FirstSteps) -> str:
    losses = steps.losses
    return f"loss {number(losses[0])} to {number(losses[-1])} in {len(losses) - 1} steps"


def _limit(m: Measurement, severity: Severity) -> str:
    limits = m.limits
    if severity == "error":
        return f"a finite loss, {limits.rise_error:g} times more at most"
    return (
        f"a loss {limits.rise_warning:.0%} higher, changes of {limits.moved_high:g}, 2 / sharpness"
    )


def _changes(m: Measurement, steps: FirstSteps) -> list[tuple[float, ...]]:
    """Changes of weights with a gradient: of two dimensions at least, that start not at zero."""
    return [
        sizes
        for name, sizes in steps.moved.items()
        if sizes and m.moves(name) and len(m.values[name].shape) > 1
    ]


def _median(numbers: Sequence[float]) -> float | None:
    return sorted(numbers)[len(numbers) // 2] if numbers else None


def _first_broken(m: Measurement) -> str:
    """The layer that makes what is not finite, where anything is."""
    if m.after is None:
        return ""
    return next((finding.layer for finding in judge_non_finite(m.after)), "")


def _advise(m: Measurement, steps: FirstSteps) -> str:
    """Rates to try: of SGD by the sharpness, else by what the first step changed."""
    if steps.sharpness is not None:
        low, high = (share * steps.sharpness.highest for share in _STABLE)
        return (
            f"lr from {low:.1g} to {high:.1g}; steps are stable here up to "
            f"{number(steps.sharpness.highest)}, by a sharpness of {number(steps.sharpness.value)} "
            f"(error {number(steps.sharpness.error)})"
        )
    change = _median([sizes[0] for sizes in _changes(m, steps)])
    if not change:
        return "no rate to advise: no weight moved that does not start at zero"
    low, high = (usual / change for usual in _USUAL)
    if steps.lr is None:
        return f"rates of {low:.1g} to {high:.1g} times these"
    return (
        f"lr from {low * steps.lr:.1g} to {high * steps.lr:.1g}, which changes weights by 0.1 "
        "to 5 % of their size a step"
    )


def _find_unmoved(m: Measurement, steps: FirstSteps) -> list[str]:
    """Weights that get a gradient, and that steps leave where they are."""
    return [
        name
        for name, sizes in steps.moved.items()
        if sizes and max(sizes) < m.limits.moved_low and m.moves(name) and m.values[name].rms > 0
    ]


def _report_still(m: Measurement, steps: FirstSteps, names: list[str]) -> Finding:
    everything = len(names) == len([name for name in steps.moved if m.moves(name)])
    lost = all(max(steps.moved[name]) == 0 for name in names)
    listed = list_names(names, 3)
    return Finding(
        "F19",
        "error" if everything else "warning",
        "" if everything else names[0].rpartition(".")[0] or names[0],
        measured=f"{steps.optimizer}: no step changes {'any parameter' if everything else listed} "
        f"by {m.limits.moved_low:g} of its size",
        expected="a change of 0.1 to 5 % of the size",
        limit=f"{m.limits.moved_low:g}",
        why="The changes are smaller than the type resolves, so they are rounded away."
        if lost
        else "At this rate training would take a million steps.",
        fix="Keep the parameters in float32 and compute in 16 bits by autocast; or a larger rate."
        if lost
        else f"A larger rate: {_advise(m, steps)}.",
        value=max(max(steps.moved[name]) for name in names),
    )


def judge_dying_units(m: Measurement) -> Iterator[Finding]:
    """F20: units that die of the first steps, where F19 has no finding that tells of them."""
    steps = m.steps
    found = _dying(m)
    if steps is None or not found or any(_too_large(m, steps)):
        return
    died, owner = max(found)
    more = (
        f", and more than a tenth in {count_layers(len(found) - 1, 'other')}" if found[1:] else ""
    )
    severity = _of_dying(m, died, owner)
    yield Finding(
        "F20",
        severity,
        m.module(owner),
        measured=f"{died:.0%} of {m.chains.uses[owner].width} units fall silent on every input in "
        f"{len(steps.losses) - 1} steps of {steps.optimizer}{more}",
        expected="hardly any",
        limit=f"{m.limits.dead_error if severity == 'error' else m.limits.dead_warning:.0%}",
        why="The steps push weights and biases so far down that these units never fire again, and "
        "get no gradient.",
        fix=f"A smaller rate or a warm-up: {_advise(m, steps)}; or leaky_relu.",
        value=died,
    )


def _of_dying(m: Measurement, died: float, owner: int) -> Severity:
    return m.soften(owner, level(died, m.limits.dead_warning, m.limits.dead_error)) or "warning"


def _dying(m: Measurement) -> list[tuple[float, int]]:
    """Layers whose units the steps silenced: the share, and the use of the weight."""
    if m.steps is None or m.after is None or not m.steps.whole:
        return []
    found: dict[int, float] = {}
    for at, share in m.after.silent.items():
        owner, died = m.chains.owners[at], share - m.silent.get(at, share)
        if owner is not None and died > m.limits.dead_warning:
            found[owner] = max(died, found.get(owner, 0.0))
    return [(died, owner) for owner, died in found.items()]
