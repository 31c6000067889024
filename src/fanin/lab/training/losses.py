"""The lab's losses, the loss of guessing, and the score on the test inputs."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from fanin.lab.data.dataset import Dataset

Loss = Callable[[Tensor, Tensor], Tensor]

LOSSES: dict[str, Loss] = {
    "cross_entropy": nn.functional.cross_entropy,
    "quadratic": nn.functional.mse_loss,
}
# A network that knows the classes' frequencies and nothing else stays near ln C. Its running mean
# of 100 losses strays by some hundredths; a network that learns anything is soon far below.
STUCK_MARGIN = {"cross_entropy": 0.1, "quadratic": 0.04}


def targets(name: str, data: Dataset) -> Tensor:
    """The labels as the loss wants them: class numbers, or numbers (n, outputs), one-hot rows."""
    labels = torch.from_numpy(data.labels)
    if name == "cross_entropy" or not data.classes:
        return labels
    return nn.functional.one_hot(labels, data.classes).float()


def guess(name: str, data: Dataset) -> float:
    """The loss of the best constant output: ln C, the variance of one-hot rows, or 1."""
    if name == "cross_entropy":
        return math.log(data.classes)
    return (data.classes - 1) / data.classes**2 if data.classes else 1.0


def never_left(name: str, data: Dataset) -> float:
    """The loss above which a run has learned nothing: that of guessing, less a margin."""
    least = guess(name, data)
    margin = STUCK_MARGIN[name]
    return least - margin if name == "cross_entropy" else least * (1 - margin)


def score(outputs: Tensor, labels: Tensor) -> float:
    """Accuracy for class numbers, R**2 for numbers; in [0, 1].

    An output that is not finite is wrong. R**2 is 0 where it is below: no better than the mean.
    """
    if not labels.is_floating_point():
        hits = (outputs.argmax(dim=1) == labels) & outputs.isfinite().all(dim=1)
        return int(hits.sum()) / len(labels)
    outputs, labels = outputs.double(), labels.double()
    spread = (labels - labels.mean(dim=0)).square().sum()
    share = 1 - (outputs - labels).square().sum() / spread
    return max(0.0, float(share)) if math.isfinite(float(share)) else 0.0
