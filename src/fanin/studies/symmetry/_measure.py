"""What training makes of networks of equal units, of nearly equal ones, of a linear model."""

from typing import Any

import torch
from torch import Tensor

from fanin import initializers
from fanin.lab.data import sources
from fanin.studies._study import Advance
from fanin.studies.symmetry import _tied
from fanin.studies.symmetry._setup import ACTIVATIONS, CONSTANT, RATE, SEED, SymmetrySize, checks


def _digits(count: int) -> tuple[Tensor, Tensor]:
    """So many digits, each pixel less its mean, (n, 784), and their labels."""
    data = sources.load("digits")
    images = torch.from_numpy(data.inputs[:count]).flatten(1).double()
    return images - images.mean(dim=0), torch.from_numpy(data.labels[:count])


def equal_units(size: SymmetrySize, name: str, value: float, advance: Advance) -> dict[str, Any]:
    """A network of equal weights beside its one-unit model, over the same training."""
    images, labels = _digits(size.images)
    shape, activation = (images.shape[1], size.width, 10), ACTIVATIONS[name]
    network, model = _tied.constant(*shape, value), _tied.one_unit(*shape, value)
    marks = checks(size.steps)
    rates = [RATE] * len(network), _tied.one_unit_rates(RATE, size.width)
    both = zip(
        _tied.descend(network, rates[0], images, labels, activation, size.steps),
        _tied.descend(model, rates[1], images, labels, activation, size.steps),
        strict=True,
    )
    found: dict[str, Any] = {key: [] for key in ("weights", "hidden", "spread", "difference")}
    for step, (at, network) in enumerate(both):
        if step in marks:
            hidden, outputs = _tied.run(at, images, activation)
            wanted = _tied.run(network, images, activation)[1]
            found["weights"].append([_tied.rank(weight) for weight in at[:4:2]])
            found["hidden"].append([_tied.rank(signal) for signal in hidden])
            found["spread"].append(max(_tied.spread(weight) for weight in at[:4:2]))
            found["difference"].append(float((outputs - wanted).detach().abs().max()))
            found["scale"] = float(outputs.detach().abs().max())
        advance(int(step > 0))
    found["largest_weight"] = max(float(weight.detach().abs().max()) for weight in at[::2])
    found["accuracy"] = _accuracy(outputs, labels)
    return found


def _accuracy(outputs: Tensor, labels: Tensor) -> float:
    return float((outputs.argmax(dim=1) == labels).double().mean())


def noisy(size: SymmetrySize, noise: float | None, advance: Advance) -> dict[str, Any]:
    """Constant weights with normal noise of this std on top; None: He's start instead."""
    images, labels = _digits(size.images)
    network = _tied.constant(images.shape[1], size.width, 10, CONSTANT)
    for index, weight in enumerate(network[::2]):
        rule = initializers.get("he_normal" if noise is None else f"normal(0, {noise!r})")
        drawn = rule(tuple(weight.shape), seed=SEED, name=f"layers.{index}.weight", dtype="float64")
        weight.copy_(torch.from_numpy(drawn) + (0 if noise is None else weight))
    found: dict[str, Any] = {"spread": [], "hidden": []}
    rates, marks = [RATE] * len(network), checks(size.noise_steps)
    course = _tied.descend(network, rates, images, labels, torch.tanh, size.noise_steps)
    for step, at in enumerate(course):
        if step in marks:
            hidden, outputs = _tied.run(at, images, torch.tanh)
            found["spread"].append(_tied.spread(at[0]))
            found["hidden"].append(_tied.rank(hidden[-1]))
        advance(int(step > 0))
    return found | {"accuracy": _accuracy(outputs, labels)}


def linear(size: SymmetrySize, advance: Advance) -> dict[str, Any]:
    """The accuracy of a linear model after the same steps from zero."""
    images, labels = _digits(size.images)
    zeros = [torch.zeros(10, images.shape[1]).double(), torch.zeros(10).double()]
    *_, at = _tied.descend(zeros, [RATE] * 2, images, labels, torch.tanh, size.steps)
    return {"accuracy": _accuracy(_tied.run(at, images, torch.tanh)[1], labels)}
