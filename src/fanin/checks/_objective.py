"""Objective: F18, what the loss is given against what it asks for; F13 of the targets."""

import math
from collections.abc import Iterator

from fanin.checks._finding import Finding
from fanin.checks._measurement import Measurement
from fanin.checks._remedy import SIGMOIDS
from fanin.checks._verdict import number

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


def judge_target_scale(m: Measurement) -> Iterator[Finding]:
    """F13 of targets that a loss compares with the outputs, number by number."""
    found, high = m.targets, m.limits.target_high
    if found is None or found.rms <= high or not math.isfinite(found.rms):
        return
    yield Finding(
        "F13",
        "warning",
        "",
        measured=f"targets of shape {found.shape} have mean {number(found.mean)} and std "
        f"{number(found.std)}",
        expected="mean 0, std 1",
        limit=f"RMS up to {high:g}",
        why="An untrained network gives numbers near 1, and no initializer changes that: the first "
        f"thousands of steps only move its output towards {number(found.rms)}.",
        fix=(
            "Standardize the targets: (y - y.mean()) / y.std(), with the training set's "
            "numbers, and scale predictions back."
        ),
        value=found.rms,
    )
