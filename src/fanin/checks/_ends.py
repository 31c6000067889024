"""Ends: F11 the loss at the start, F13 the inputs, F14 whether inputs stay apart."""

import math
from collections.abc import Iterator, Sequence
from functools import partial

from fanin.checks._cause import advice, has_bias, raw_inputs
from fanin.checks._finding import Finding, Severity
from fanin.checks._forward import cut_hidden
from fanin.checks._measurement import Measurement
from fanin.checks._paths import comes_back, until_gathered
from fanin.checks._remedy import DATA
from fanin.checks._streams import see_through_moves
from fanin.checks._verdict import number
from fanin.graph import having, reach

_PASSED = having("carries", "function")
SAME = 1e-5  # of 1 - cosine: inputs that do not differ to begin with
_PIXELS = 64  # of the smallest images that people learn from, 8 x 8
_HUGE = 100.0  # RMS of what a readout is given, from which on that is to blame
_REACH = 8.0  # deviations: no logit is farther from another than twice as much as normal ones are


def judge_initial_loss(m: Measurement) -> Iterator[Finding]:
    """F11: cross-entropy against ln C, squares against the variance of the targets."""
    yield from _judge_squares(m)
    limits = m.limits
    classes = m.classes or _classes_inside(m)
    if m.loss is None or classes is None or classes < 2 or not math.isfinite(m.loss):
        return
    chance = math.log(classes)
    excess = m.loss - chance
    leak = max(limits.loss_leak, -math.log(limits.loss_chance) / m.batch)
    low = m.classes is not None and excess < -leak
    if not low and excess <= limits.loss_warning:
        return
    highest = limits.loss_error
    if classes >= limits.loss_classes:
        highest = min(highest, (limits.loss_factor - 1) * chance)
    error = low or excess > highest
    limit = -leak if low else highest if error else limits.loss_warning
    head = max(m.chains.heads, default=None)
    yield Finding(
        "F11",
        "error" if error else "warning",
        "" if head is None else m.module(head),
        measured=f"loss {m.loss:.3g}, {excess:+.3g} from ln {classes}",
        expected=f"{chance:.3g} to {chance + 1:.3g}",
        limit=f"{limit:+.3g}",
        why=(
            "An untrained network cannot know this much: labels leak into the inputs, the "
            "weights are trained, or it is another loss."
            if low
            else "The logits are large before anything was learned."
        ),
        fix="Check the targets and the loss." if low else _quieter(m, head),
        value=excess,
    )


def _judge_squares(m: Measurement) -> Iterator[Finding]:
    limits, targets = m.limits, m.targets
    if m.loss is None or m.classes is not None or targets is None or not math.isfinite(m.loss):
        return
    made = max((size for at in m.outputs if (size := m.rms[at]) is not None), default=0.0)
    if m.loss > 1.01 * (made + targets.rms) ** 2:
        return  # no mean of squares: it is a sum over the batch, or of several
    excess = m.loss / targets.std**2 if targets.std else 0.0
    if excess <= limits.squares_error or targets.rms > limits.target_high:  # F13 speaks of it
        return
    head = max(m.chains.heads, default=None)
    yield Finding(
        "F11",
        "error",
        "" if head is None else m.module(head),
        measured=f"loss {m.loss:.3g}, {number(excess)} times the variance of the targets",
        expected="1 to 3 times",
        limit=f"{limits.squares_error:g} times",
        why="The outputs are large before anything was learned.",
        fix=_quieter(m, head),
        value=excess,
    )


def _classes_inside(m: Measurement) -> int | None:
    """The classes of a cross-entropy within a loss that is given, or the model's own.

    None where there is none, and where logits of this size cannot have made the loss: it is a sum
    over the batch, or of several.
    """
    inside = [
        node.inputs[0]
        for node in m.nodes
        if node.op == "softmax" and "logarithm" in node.flags and node.inputs
    ]
    asked = m.asked.get("_log_softmax")
    at = asked if asked is not None else inside[-1] if inside else None
    if at is None or m.loss is None or len(m.nodes[at].shape) < 2:
        return None
    shape = m.nodes[at].shape
    # Of images in front of the positions; of sequences there or behind, and it is the larger one.
    classes = shape[1] if len(shape) > 3 else max(shape[1:])
    size = m.rms[see_through_moves(m.nodes, at)] or 0.0
    return classes if m.loss - math.log(max(classes, 1)) < _REACH * size else None


def _quieter(m: Measurement, head: int | None) -> str:
    """What to write for a readout whose logits are too large."""
    if head is None:
        return "zeros() or normal(std=0.01) for the weight of the readout."
    if raw_inputs(m, m.chains.uses[head].node) is not None:
        return DATA
    before = m.chains.path(head)[:-1]
    if before and (m.size(before[-1]) or 0.0) > _HUGE:
        return advice(m, before)
    name, zeros = m.chains.uses[head].name, ", zeros() for its bias" * has_bias(m, head)
    if any(node.op == "lookup" and node.param and node.param.name == name for node in m.nodes):
        std = number(m.values[name].shape[-1] ** -0.5)
        return f"normal(std={std}) for {name}, 1/sqrt(width): it is the embedding too{zeros}."
    if m.is_zero(name):
        return f"zeros() for the bias of {m.module(head)}."
    return f"zeros() or normal(std=0.01) for the weight of the readout, {name}{zeros}."


def judge_input_scale(m: Measurement) -> Iterator[Finding]:
    """F13: mean and standard deviation of what feeds the first weights."""
    limits = m.limits
    fed = [at for at, node in enumerate(m.nodes) if node.op == "input" and _feeds_a_weight(m, at)]
    for at in fed:
        if at not in m.off_scale:
            continue
        node, look, std = m.nodes[at], m.looks[at], m.off_scale[at]
        constant = std <= 1e-5 * abs(look.mean)
        if constant and len(fed) > 1:  # one number for all, such as the time of a diffusion step
            continue
        yield Finding(
            "F13",
            "error" if constant else "warning",
            "",
            measured=(
                f"inputs of shape {node.shape} have mean {number(look.mean)} and std {number(std)}"
            ),
            expected="mean 0, std 1",
            limit="a constant input"
            if constant
            else f"abs(mean) up to {limits.input_mean:g} std, std {limits.input_low:g} to "
            f"{limits.input_high:g}",
            why="A constant input tells nothing."
            if constant
            else "Every initializer's scale is made for inputs of mean 0 and variance 1.",
            fix=_rescale(m, at, std),
            value=std,
        )


def _rescale(m: Measurement, position: int, std: float) -> str:
    """What to do to inputs, by what they look like and what reads them."""
    size, mean, shape = m.rms[position] or 0.0, m.looks[position].mean, m.nodes[position].shape
    if shape and math.isclose(mean * shape[-1], 1, rel_tol=0.01) and _is_sparse(size, mean):
        return (
            f"nn.Embedding({shape[-1]}, width) of the indices, in place of a linear layer of their "
            "one-hot vectors: it is the same function, and its rows have a size of their own."
        )
    if any(m.nodes[at].function in ("sin", "cos") for at in _read_first(m, position)):
        return (
            "Standardize the coordinates, or bring them into [-1, 1]: x = 2 * (x - low) / "
            "(high - low) - 1, for each axis with its own low and high."
        )
    if math.prod(shape[1:]) >= _PIXELS and 0 < mean < 255 and 30 < std < 128:
        return f"x = x / 255 for 8-bit pixels, as torchvision's ToTensor does; then: {DATA}"
    return DATA


def _is_sparse(size: float, mean: float) -> bool:
    """Whether numbers are 0 and 1 alone: their squares are then themselves."""
    return math.isclose(size**2, mean, rel_tol=1e-3)


def _read_first(m: Measurement, position: int) -> list[int]:
    """A few operations behind the first weight of an input: a shift, a factor, a function."""
    users = m.chains.structure.users
    front = [user for user in users[position] if m.nodes[user].op in having("weight")]
    found = list[int]()
    for _ in range(4):
        front = [user for at in front for user in users[at]]
        found += front
    return found


def _feeds_a_weight(m: Measurement, position: int) -> bool:
    users = m.chains.structure.users

    def goes_on(at: int) -> Sequence[int]:
        return users[at] if at == position or m.nodes[at].op in _PASSED else ()

    return any(m.nodes[at].op in having("weight") for at in reach([position], goes_on))


def judge_collapse(m: Measurement) -> Iterator[Finding]:
    """F14: whether inputs that differ still do at the end of a chain: one finding, the worst."""
    limits = m.limits
    found: list[tuple[bool, float, int]] = []
    for whole in map(partial(cut_hidden, m), (*m.chains.paths, *m.runs.paths)):
        path = until_gathered(m, whole)
        if not path:
            continue
        last, first = m.tell_apart(m.chains.uses[path[-1]].output), _before(m, path)
        if last is None or first is None or first < SAME or m.shut.keys() & set(path):
            continue  # F05 and F07 speak of layers that pass nothing on
        share = last / first
        if share < limits.collapse_note:
            found.append((m.worst(path[-1]) != "error", share, path[-1]))
    if not found:
        return
    aside, share, at = min(found)
    names = [m.chains.uses[use].name for use in m.chains.path(at)]
    again = len(set(names)) < len(names)  # one weight, step after step: late inputs come in late
    low = share < limits.collapse_error and not aside  # past a branch the stream leads
    held = again or comes_back(m, m.chains.path(at))
    # What is trained by its derivatives tells inputs apart by them, too: their scale is free.
    free = m.chains.is_derived(m.chains.path(at))
    mild: Severity = "warning" if low and not free else "note"
    severity = "error" if low and not held else mild
    yield Finding(
        "F14",
        severity,
        m.module(at),
        measured=(
            f"1 - cosine of different inputs is {number(m.tell_apart(m.chains.uses[at].output))}, "
            f"{number(share)} of what it was before the chain"
        ),
        expected=f"a share above {limits.collapse_note:g}",
        limit=f"{limits.collapse_note if severity == 'note' else limits.collapse_error:g}",
        why="Different inputs come out alike: what follows can hardly tell them apart.",
        fix=advice(m, m.chains.path(at)),
        value=share,
    )


def _before(m: Measurement, path: Sequence[int]) -> float | None:
    """How far apart the data are, or what the first layer of a chain inside the network made."""
    source = m.graph.behind(m.nodes[m.chains.uses[path[0]].node].inputs[0])
    raw = m.nodes[source].op in ("input", "lookup")
    if not raw and len(path) < 2:
        return None
    return m.tell_apart(source if raw else m.chains.uses[path[0]].output)
