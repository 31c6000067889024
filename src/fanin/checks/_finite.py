"""Finite: F01, what is infinite or not a number, and who made it so."""

import math
from collections.abc import Iterator

from fanin.checks._finding import Finding
from fanin.checks._measurement import Measurement
from fanin.checks._remedy import initializer_for


def non_finite(m: Measurement) -> Iterator[Finding]:
    """F01: the producer alone: a parameter, else an operation, else a gradient."""
    bad = [name for name, values in m.values.items() if not values.finite]
    if bad:
        more = f", and in {len(bad) - 1} more" if bad[1:] else ""
        yield _finding(
            bad[0],
            f"values that are not finite in {bad[0]}{more}",
            "Its draw or a former step left NaN or infinity there; all that follows is NaN.",
            f"Draw it again: {_fix(m, None)}",
        )
        return
    node = _first_output(m)
    if node is not None and m.nodes[node].op == "input":
        yield _finding(
            "",
            f"{m.rms[node]} in the inputs of shape {m.nodes[node].shape}",
            "What is NaN or infinite in the data makes all that follows so.",
            "Clean the data: torch.isfinite(x) shows where; weights are not to blame.",
        )
        return
    if node is not None:
        owner = m.chains.owners[node]
        yield _finding(
            m.nodes[node].module,
            f"{m.rms[node]} in what {_what(m, node)} gives, while its inputs are finite",
            "The numbers outgrow their type here; the loss and all gradients are lost.",
            _fix(m, owner),
        )
        return
    node = _last_gradient(m)
    if node is not None:
        yield _finding(
            m.nodes[node].module,
            f"{m.gradients[node]} in the gradient of what {_what(m, node)} gives, while the "
            "gradients behind are finite",
            "The first step would write NaN into every weight before it.",
            _fix(m, m.chains.owners[node]),
        )


def _finding(layer: str, measured: str, why: str, fix: str) -> Finding:
    return Finding("F01", "error", layer, measured, "finite numbers", "any", why, fix)


def _what(m: Measurement, position: int) -> str:
    node = m.nodes[position]
    return "the layer" if node.op in ("linear", "shift", "scale") else node.label or node.op


def _fix(m: Measurement, owner: int | None) -> str:
    label = "" if owner is None else m.activation(owner)
    how = initializer_for(label) if label else "he_normal() before ReLU, lecun_normal() else"
    return f"{how} for the weights up to here, or fanin.initialize(model, inputs=x)."


def _first_output(m: Measurement) -> int | None:
    """The first node that is not finite, in the order of the run; masks of minus infinity aside."""
    for at, node in enumerate(m.nodes):
        size = m.rms[at]
        if size is None or math.isfinite(size) or node.op == "buffer":
            continue
        if math.isnan(size) or not m.chains.structure.feeds_softmax(at):
            return at
    return None


def _last_gradient(m: Measurement) -> int | None:
    """The last node whose gradient is not finite: gradients come from behind."""
    bad = [
        at for at, size in enumerate(m.gradients) if size is not None and not math.isfinite(size)
    ]
    return bad[-1] if bad else None
