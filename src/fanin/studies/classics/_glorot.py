"""Five layers of tanh, as Glorot and Bengio had them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from fanin.studies._drawing import PALETTE, panels
from fanin.studies._rows import ClaimFamily, ClaimRow, near, part, within
from fanin.studies._study import Figure, StudyPart
from fanin.studies.classics._chain import backward, draw, forward, normal, square

RULES = {"standard": "torch_default", "normalised": "glorot_uniform"}
DEPTH = 5
INPUT = 0.284  # root mean square: so the first standard layer has the std that was read, 0.164
READ = {
    "standard": (0.164, 0.094, 0.054, 0.031, 0.018),
    "normalised": (0.268, 0.248, 0.232, 0.222, 0.213),
}
SINGULAR = {"standard": 0.49, "normalised": 0.80}
SOURCE = "Glorot & Bengio 2010"


def activations(rule: str, width: int, batch: int, seed: int) -> list[float]:
    """The standard deviation of each layer's activations, in one network."""
    passed = forward(draw(rule, width, DEPTH, seed), normal((batch, width), INPUT, seed), "tanh")
    return [float(layer.std(dtype=np.float64)) for layer in passed.after[1:]]


def singular_values(rule: str, width: int, seed: int) -> float:
    """The mean singular value of a layer's Jacobian at one input, over all layers."""
    passed = forward(draw(rule, width, DEPTH, seed), normal((1, width), INPUT, seed), "tanh")
    slopes = [passed.activation.slope(before[0]) for before in passed.before]
    jacobians = [slope[:, None] * w for slope, w in zip(slopes, passed.weights, strict=True)]
    return float(
        np.mean([np.linalg.svd(jacobian, compute_uv=False).mean() for jacobian in jacobians])
    )


def gradients(rule: str, width: int, batch: int, seed: int) -> dict[str, list[float]]:
    """By layer: standard deviation of the gradient of the pre-activations and of the weights.

    The loss is the mean cross-entropy of a softmax of ten outputs, at random labels.
    """
    weights = draw(rule, width, DEPTH + 1, seed)
    head = weights.pop()[:10]
    passed = forward(weights, normal((batch, width), INPUT, seed), "tanh")
    scores = np.exp(passed.after[-1] @ head.T)
    errors = scores / scores.sum(axis=1, keepdims=True)
    errors[np.arange(batch), np.arange(batch) % 10] -= 1  # labels mean nothing yet
    signals, _ = backward(passed, errors @ head / batch)
    by_weight = [s.T @ h for s, h in zip(signals, passed.after, strict=False)]
    return {
        "signals": [float(np.sqrt(square(signal))) for signal in signals],
        "weights": [float(np.sqrt(square(gradient))) for gradient in by_weight],
    }


def measure(width: int, networks: int, jacobians: int, batch: int) -> dict[str, Any]:
    """All of the family, by rule, for networks of seeds 0, 1, ...; fewer for the Jacobians."""
    return {
        name: {
            "activations": [activations(rule, width, batch, seed) for seed in range(networks)],
            "singular": [singular_values(rule, width, seed) for seed in range(jacobians)],
            "gradients": [gradients(rule, width, batch, seed) for seed in range(networks)],
        }
        for name, rule in RULES.items()
    }


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    if quick:
        return [part("glorot", measure, width=200, networks=6, jacobians=3, batch=100)]
    return [part("glorot", measure, width=1000, networks=20, jacobians=5, batch=100)]


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    measured, layers = found["glorot"], range(DEPTH)
    stds = {name: measured[name]["activations"] for name in RULES}
    falls = [(net[-1] / net[0]) ** (1 / (DEPTH - 1)) for net in stds["standard"]]
    gradient = measured["standard"]["gradients"]
    return [
        ClaimRow(
            "With U(+-1/sqrt n) the activations of tanh shrink to about 0.57 a layer; normalised "
            "they shrink slowly",
            f"{SOURCE}, fig. 6; a replication's readings",
            _how(stds["standard"]),
            [
                near("factor a layer, standard", 0.57, falls),
                *(
                    near(
                        f"std, {name}, layer {k + 1}", READ[name][k], [net[k] for net in stds[name]]
                    )
                    for name in RULES
                    for k in layers
                ),
            ],
        ),
        ClaimRow(
            "The mean singular value of a layer's Jacobian is about 0.5, normalised 0.8",
            f"{SOURCE}, section 4.2.1; a replication read 0.49 and 0.80",
            _how(measured["standard"]["singular"]),
            [near(name, SINGULAR[name], measured[name]["singular"]) for name in RULES],
        ),
        ClaimRow(
            "The gradient of the weights has the same size in every layer, although the signal's "
            "shrinks about 10 times on its way back",
            f"{SOURCE}, eq. 14 and fig. 8",
            _how(gradient),
            [
                within(
                    "signal's gradient, last over first layer", 10, _ratio(gradient, "signals"), 3
                ),
                within("weights' gradient, last over first", 1, _ratio(gradient, "weights"), 0.2),
            ],
        ),
    ]


def _ratio(networks: Sequence[Mapping[str, Sequence[float]]], what: str) -> list[float]:
    return [net[what][-1] / net[what][0] for net in networks]


def _how(networks: Sequence[Any]) -> str:
    return f"{len(networks)} networks, inputs of RMS {INPUT}."


def figures(found: Mapping[str, Any]) -> list[Figure]:
    """The activations of the first claim, measured and read."""

    def draw_all(axes: Sequence[Axes]) -> None:
        (panel,) = axes
        layers = range(1, DEPTH + 1)
        for colour, name in zip(PALETTE, RULES, strict=False):
            measured = np.array(found["glorot"][name]["activations"])
            panel.plot(layers, measured.mean(axis=0), color=colour, label=f"{name}, measured")
            panel.plot(
                layers, READ[name], "o", mfc="none", color=colour, label=f"{name}, published"
            )
        panel.set(xlabel="layer", ylabel="std of the activations", yscale="log")
        panel.set_xticks(list(layers))
        panel.set_yticks([0.02, 0.05, 0.1, 0.2], ["0.02", "0.05", "0.1", "0.2"])
        panel.minorticks_off()
        panel.legend(fontsize=8, frameon=False)

    return [
        Figure(
            "activations",
            "Activations of five layers of tanh",
            lambda: panels("Standard deviation of activations by layer", 1, draw_all, (4.2, 3.0)),
            "Standard is U(+-1/sqrt n). The scale of the inputs was not published: it was chosen "
            "so that the first standard layer agrees.",
        )
    ]


GLOROT = ClaimFamily(parts, rows, figures)
