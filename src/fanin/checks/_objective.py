"""Objective: F18, what the loss is given against what it asks for; F13 and F21 of the targets."""

import math
from collections.abc import Iterator

from fanin.checks._chains import GATHERS, WeightUse
from fanin.checks._finding import Finding
from fanin.checks._matched import fans_of
from fanin.checks._measurement import Measurement
from fanin.checks._remedy import SIGMOIDS
from fanin.checks._verdict import number
from fanin.frameworks import TargetsMet

# What an operation of torch is called by those who write it, and what it takes.
_LOSSES = {
    "_log_softmax": ("cross-entropy", "logits"),
    "binary_cross_entropy_with_logits": ("binary cross-entropy with logits", "logits"),
    "nll_loss_forward": ("nll_loss", "logarithms of probabilities"),
    "nll_loss2d_forward": ("nll_loss", "logarithms of probabilities"),
}


def judge_squashed(m: Measurement) -> Iterator[Finding]:
    """F18: a softmax or a sigmoid before a loss that has its own."""
    inside = [  # a loss that the model computes itself
        ("_log_softmax", node.inputs[0])
        for node in m.nodes
        if node.op == "softmax" and "logarithm" in node.flags
    ]
    seen: set[int] = set()
    for operation, position in (*m.asked.items(), *inside):
        at = m.graph.behind(position, ("view",))
        node = m.nodes[at]
        softmax = node.op == "softmax" and "logarithm" not in node.flags
        if at in seen or not (softmax or (node.op == "pointwise" and node.function in SIGMOIDS)):
            continue
        seen.add(at)
        loss, wanted = _LOSSES[operation]
        what = "softmax" if softmax else node.label
        yield Finding(
            "F18",
            "warning",
            node.module,
            measured=f"{loss} of what a {what} gives",
            expected=f"{wanted}",
            limit="any",
            why=f"{loss} takes {wanted}, and this is a number between 0 and 1: "
            + (
                "the loss can neither fall far nor tell good from bad, and gradients are small."
                if wanted == "logits"
                else "the loss is bounded, and its gradients are not those of a likelihood."
            ),
            fix=f"Take the {what} out of the model"
            + ("." if wanted == "logits" else ", and use cross_entropy; or log_softmax."),
        )


# What a function at the end of a model gives, and the kind of targets that it does not reach.
_RANGES: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("relu", "relu6", "softplus", "exp"), ("none below 0", "below 0")),
    **dict.fromkeys(SIGMOIDS, ("0 to 1", "outside of 0 to 1")),
    **dict.fromkeys(("tanh", "softsign", "hardtanh"), ("-1 to 1", "outside of -1 to 1")),
}


def judge_targets(m: Measurement) -> Iterator[Finding]:
    """F21: targets beside which outputs are laid out wrongly, or that they cannot reach."""
    met = m.compared
    if met is None:
        return
    if math.prod(met.difference) > max(math.prod(met.output), math.prod(met.targets)):
        if _squeeze(met.output) == _squeeze(met.targets):
            yield _report_layout(met)
        return
    node = m.nodes[m.graph.behind(met.node, ("view",))]
    if node.op != "pointwise" or node.function not in _RANGES:
        return
    reach, beyond = _RANGES[node.function]
    shares = {"none below 0": met.negative, "0 to 1": met.negative + met.above}
    share = shares.get(reach, met.beyond)
    if share <= m.limits.unreached_warning:
        return
    yield Finding(
        "F21",
        "warning",
        node.module,
        measured=f"{share:.0%} of the targets are {beyond}, and a {node.label} gives {reach}",
        expected="targets that the output can reach",
        limit=f"{m.limits.unreached_warning:.0%}",
        why="No training brings the output there; the loss stays at what is left over.",
        fix=f"Take the {node.label} off the end of the model; or scale the targets into its range.",
        value=share,
    )


def _squeeze(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size > 1)


def _report_layout(met: TargetsMet) -> Finding:
    return Finding(
        "F21",
        "error",
        "",
        measured=f"the loss subtracts targets of shape {met.targets} from outputs of shape "
        f"{met.output}, which gives {met.difference}",
        expected="one target for each output",
        limit="any",
        why="Every output is compared with every target, so that the best that training can do is "
        "their mean.",
        fix="targets[..., None]"
        if len(met.targets) < len(met.output)
        else "targets.squeeze(-1), or output[..., None] in the loss",
        value=float(math.prod(met.difference)),
    )


def judge_target_scale(m: Measurement) -> Iterator[Finding]:
    """F13 of targets that a loss compares with the outputs, number by number."""
    found, high = m.targets, m.limits.target_high
    if found is None or found.rms <= high or not math.isfinite(found.rms):
        return
    why = _unreachable(m, found.rms)
    yield Finding(
        "F13",
        "error" if why else "warning",
        "",
        measured=f"targets of shape {found.shape} have mean {number(found.mean)} and std "
        f"{number(found.std)}",
        expected="mean 0, std 1",
        limit=f"RMS up to {high:g}",
        why=why
        or "An untrained network gives numbers near 1, and no initializer changes that: the first "
        f"thousands of steps only move its output towards {number(found.rms)}.",
        fix=(
            "Standardize the targets: (y - y.mean()) / y.std(), with the training set's "
            "numbers, and scale predictions back."
        ),
        value=found.rms,
    )


def _unreachable(m: Measurement, size: float) -> str:
    """Why this optimizer does not bring outputs to targets of this size; "" where it may."""
    heads = [m.chains.uses[at] for at in m.chains.heads]
    if not heads or m.sgd is None:
        return ""
    held = all(_is_held(m, m.nodes[head.node].inputs[0]) for head in heads)
    if m.sgd and not held:
        return (
            "Where weights before the readout grow as well, a network that gives numbers of this "
            f"size has a sharpness of 4 * {number(size)} |x| or more, x what those weights are "
            f"given: at |x| = 1 SGD with momentum 0.9 is stable below a rate of "
            f"{number(1.9 / (2 * size))}, and its loss runs away before it is there."
        )
    # A weight moves by the rate in a step, and what it multiplies is 1 at most, or about 1.
    terms = max(_fan_in(m, head) for head in heads)
    steps = size / (m.limits.target_rate * (terms + 1))
    if m.sgd or not held or steps <= m.limits.descent_steps:
        return ""
    return (
        f"A step moves a weight by the rate, and the output by {number(terms + 1)} times that at "
        f"most: at {m.limits.target_rate:g} it takes {number(steps)} steps to get there."
    )


def _fan_in(m: Measurement, head: WeightUse) -> float:
    how, values = m.nodes[head.node].param, m.values.get(head.name)
    return 1.0 if how is None or values is None else fans_of(how, values.shape)[0]


def _is_held(m: Measurement, position: int) -> bool:
    """Whether what a readout is given stays as large, however weights before it grow."""
    at = m.graph.behind(position, ("view", "dropout", *GATHERS))
    return at in m.flat or m.nodes[at].op in ("input", "lookup", "normalize", "recurrent")
