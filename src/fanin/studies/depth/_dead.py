"""Units that die: trained on digits at large rates, which units have no gradient left."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from fanin import initializers
from fanin.lab.data import sources
from fanin.lab.networks.networks import NETWORKS
from fanin.studies._study import Advance, StudyPart

DEPTH, RULE = 3, "he_normal"
RATES = (0.03, 0.1)  # seeds 0 and 1: larger ones take the leaky networks out of float64
FIRST_SEED = 10
MODULES: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu(0.2)": partial(nn.LeakyReLU, 0.2),
}


def part(name: str, activation: str, images: int, steps: int, seeds: int) -> StudyPart:
    """By rate, how many hidden units are dead at the start and after training, of how many."""
    settings = {
        "activation": activation,
        "depth": DEPTH,
        "rates": list(RATES),
        "images": images,
        "steps": steps,
        "seeds": [FIRST_SEED, seeds],
    }
    measure = partial(_measure, activation, images, steps, seeds)
    return StudyPart(name, settings, measure, steps=len(RATES) * seeds)


def _measure(
    activation: str, images: int, steps: int, seeds: int, advance: Advance
) -> dict[str, dict[str, int]]:
    data = sources.load("digits")
    inputs = torch.from_numpy(data.inputs[:images]).double()
    labels = torch.from_numpy(data.labels[:images])
    found = {}
    for rate in RATES:
        counts = {"units": 0, "at_start": 0, "dead": 0, "not_finite": 0}
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            model = NETWORKS["deep_mlp"].make(data.form, MODULES[activation], DEPTH).double()
            _start(model, seed)
            counts["at_start"] += _dead(model, inputs)
            optimizer = torch.optim.SGD(model.parameters(), lr=rate)
            for _ in range(steps):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(inputs), labels).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            counts["units"] += sum(layer.out_features for layer in _list_hidden(model))
            counts["not_finite"] += not bool(model(inputs).isfinite().all())
            counts["dead"] += _dead(model, inputs)
            advance(1)
        found[f"{rate:g}"] = counts
    return found


def _start(model: nn.Module, seed: int) -> None:
    with torch.no_grad():
        for name, value in model.named_parameters():
            rule = initializers.get(RULE if value.ndim > 1 else "zeros")
            drawn: Any = rule(tuple(value.shape), seed=seed, name=name, dtype="float64")
            value.copy_(torch.from_numpy(drawn))


def _list_hidden(model: nn.Module) -> list[nn.Linear]:
    return [module for module in model.modules() if isinstance(module, nn.Linear)][:-1]


def _dead(model: nn.Module, inputs: torch.Tensor) -> int:
    """Units whose incoming weights have no gradient on any input, of the outputs' sum."""
    model.zero_grad()
    model(inputs).sum().backward()
    rows = [layer.weight.grad for layer in _list_hidden(model)]
    return sum(int((row == 0).all(dim=1).sum()) for row in rows if row is not None)
