"""ZerO, and the rank that identities alone would keep."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fanin import initializers
from fanin.lab.data import sources
from fanin.studies._rows import ClaimFamily, ClaimRow, part
from fanin.studies._study import StudyPart

POOL = 4  # 28 x 28 pixels to 7 x 7
INPUTS, WIDTH, OUTPUTS = 49, 128, 10
SHAPES = ((WIDTH, INPUTS), (WIDTH, WIDTH), (OUTPUTS, WIDTH))
TINY = 1e-6  # singular values below this share of the largest count as zero
RULES = {"ZerO": "zero_hadamard", "identities": "identity"}


def weights(rule: str, seed: int) -> list[Tensor]:
    """The three weights of the network, in float64."""
    initializer = initializers.get(rule)
    return [
        torch.from_numpy(initializer(shape, seed=seed, name=f"layers.{k}.weight")).double()
        for k, shape in enumerate(SHAPES)
    ]


def ranks(rule: str, images: int, steps: int) -> dict[str, int]:
    """The rank of the hidden weight's change, and of the hidden signals, after so many steps.

    Full-batch gradient descent at 0.1 on digits, two hidden layers of ReLU.
    """
    data = sources.load("digits")
    inputs = nn.functional.avg_pool2d(torch.from_numpy(data.inputs[:images]), POOL).flatten(1)
    labels = torch.from_numpy(data.labels[:images])
    at = [weight.requires_grad_() for weight in weights(rule, 0)]
    start = at[1].detach().clone()
    for _ in range(steps):
        hidden = torch.relu(torch.relu(inputs.double() @ at[0].T) @ at[1].T)
        loss = nn.functional.cross_entropy(hidden @ at[2].T, labels)
        for value, gradient in zip(at, torch.autograd.grad(loss, at), strict=True):
            value.data -= 0.1 * gradient
    return {"change": _rank(at[1].detach() - start), "hidden": _rank(hidden.detach())}


def _rank(matrix: Tensor) -> int:
    values = torch.linalg.svdvals(matrix)
    return int((values > TINY * values[0]).sum())


def measure(images: int, steps: int) -> dict[str, Any]:
    """The ranks by rule, and whether two seeds of ZerO are the same bits."""
    same = all(map(torch.equal, weights(RULES["ZerO"], 0), weights(RULES["ZerO"], 1)))
    return {"same": same} | {name: ranks(rule, images, steps) for name, rule in RULES.items()}


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    return [part("zero", measure, images=300 if quick else 1000, steps=20 if quick else 500)]


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    measured = found["zero"]
    told = "; ".join(
        f"{name}: rank {measured[name]['change']} of the hidden weight's change, "
        f"{measured[name]['hidden']} of the hidden signals"
        for name in RULES
    )
    kept = max(measured["identities"].values()) <= INPUTS
    lifted = min(measured["ZerO"].values()) > INPUTS
    return [
        ClaimRow(
            "ZerO is the same for every seed; identities alone keep ranks at the number of inputs, "
            "its Hadamard matrix lifts them",
            "Zhao et al. 2022, section 3",
            f"{INPUTS}-{WIDTH}-{WIDTH}-{OUTPUTS} with ReLU, trained on digits in float64.",
            measured=f"Two seeds are {'the same' if measured['same'] else 'not the same'}; {told}.",
            holds=bool(measured["same"]) and kept and lifted,
            rule=f"Holds where ranks are at most {INPUTS} from identities and above from ZerO.",
        )
    ]


ZERO = ClaimFamily(parts, rows)
