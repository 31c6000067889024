"""What the first loss says of the logits."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fanin import initializers
from fanin.studies._rows import ClaimFamily, ClaimRow, near, part, within
from fanin.studies._study import StudyPart
from fanin.studies.classics._chain import normal

# Logit variance: the loss above ln C for ten classes, and what may be off.
EXCESS = {
    0.5: (0.22, 0.005),
    1.0: (0.43, 0.005),
    2.0: (0.807, 0.005),
    4.0: (1.468, 0.005),
    10.0: (3.0, 0.05),
}
CLASSES = (10, 100, 1000)
FEATURES = 256


def excess(classes: int, variance: float, heads: int, inputs: int) -> list[float]:
    """The cross-entropy above ln C of linear heads on N(0, 1) features, by head.

    It is averaged over all labels, which is what random ones come to.
    """
    rule = initializers.get(f"variance_scaling({variance!r}, 'fan_in', 'normal')")
    made = []
    for seed in range(heads):
        head = rule((classes, FEATURES), seed=seed, name="head.weight")
        logits = normal((inputs, FEATURES), 1.0, seed) @ head.T
        top = logits.max(axis=1)
        sums = np.exp(logits - top[:, None]).sum(axis=1)
        losses = top + np.log(sums) - logits.mean(axis=1)
        made.append(float(losses.mean(dtype=np.float64)) - math.log(classes))
    return made


def measure(heads: int, inputs: int) -> dict[str, Any]:
    """By number of classes and logit variance; a tenth of the heads for more than ten classes."""
    counts = {classes: heads if classes == CLASSES[0] else heads // 10 for classes in CLASSES}
    return {
        str(classes): {str(s2): excess(classes, s2, count, inputs) for s2 in EXCESS}
        for classes, count in counts.items()
    }


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    return [part("logits", measure, heads=400 if quick else 4000, inputs=250)]


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    measured = found["logits"]

    def how(classes: int) -> str:
        return f"{len(measured[str(classes)]['1.0'])} linear heads on N(0, 1) features."

    return [
        ClaimRow(
            "For ten classes the first cross-entropy lies 0.22, 0.43, 0.807, 1.468, 3.0 above ln C "
            "at logit variances 0.5, 1, 2, 4, 10",
            "computed for this study, by simulation",
            how(10),
            [
                within(f"C = 10, variance {s2:g}", published, measured["10"][str(s2)], allowed)
                for s2, (published, allowed) in EXCESS.items()
            ],
        ),
        *(_many(classes, measured[str(classes)], how(classes)) for classes in CLASSES[1:]),
    ]


def _many(classes: int, measured: Mapping[str, Sequence[float]], how: str) -> ClaimRow:
    """E exp(z) is exp(variance / 2), which a mean over enough classes comes near."""
    enough = [variance for variance in EXCESS if math.exp(variance) < classes / 10]
    beyond = [
        f"{np.mean(measured[str(variance)]):.4g} at {variance:g}"
        for variance in EXCESS
        if variance not in enough
    ]
    return ClaimRow(
        f"For {classes} classes it lies half the logit variance above ln C, as long as the "
        "exponential of that variance is below a tenth of the classes",
        "the law of large numbers",
        f"{how} Beyond, it lies {', '.join(beyond)}.",
        [
            near(f"C = {classes}, variance {variance:g}", variance / 2, measured[str(variance)])
            for variance in enough
        ],
    )


LOGITS = ClaimFamily(parts, rows)
