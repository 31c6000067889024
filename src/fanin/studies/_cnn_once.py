"""The article's own protocol: images once through, one a step, by its own Adam."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import fanin
from fanin.lab.data import sources
from fanin.lab.data.dataset import Dataset, split
from fanin.lab.data.form import MNIST
from fanin.lab.networks.networks import NETWORKS, SmallConvNet
from fanin.lab.training import losses
from fanin.lab.training.optimization import Optimization
from fanin.lab.training.stack import Stack
from fanin.lab.training.stacking import MODELS_IN_A_STACK
from fanin.lab.training.trial import AT_ONCE
from fanin.studies._cnn import BASE, CnnConvention, plan, rows, spell
from fanin.studies._study import Advance

RATE, DECAYS, EPS = 0.001, (0.9, 0.999), 1e-7
ROWS = 26  # that are trained once through
FIRST = 100  # steps whose gradients are measured
SLIP = "He, uniform, its slip"
HEAD, HEAD_FAN = "head.weight", 648
CONVENTIONS: tuple[CnnConvention, ...] = ("torch", "article", "weight")


class FoldedAdam(torch.optim.Optimizer):
    """Adam with the bias correction folded into the rate, so that eps is not corrected.

    rate_t = rate sqrt(1 - b2**t) / (1 - b1**t), and a step is rate_t m / (sqrt(v) + eps).
    """

    def __init__(self, groups: Sequence[Mapping[str, Any]]) -> None:
        super().__init__([dict(group) for group in groups], {"lr": RATE})
        self.steps = 0

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step of all parameters."""
        self.steps += 1
        first_decay, second_decay = DECAYS
        folded = math.sqrt(1 - second_decay**self.steps) / (1 - first_decay**self.steps)
        for group in self.param_groups:
            for value in group["params"]:
                state, gradient = self.state[value], value.grad
                if not state:
                    state["first"], state["second"] = (
                        torch.zeros_like(value),
                        torch.zeros_like(value),
                    )
                state["first"].mul_(first_decay).add_(gradient, alpha=1 - first_decay)
                state["second"].mul_(second_decay).addcmul_(
                    gradient, gradient, value=1 - second_decay
                )
                value.addcdiv_(
                    state["first"], state["second"].sqrt().add_(EPS), value=-group["lr"] * folded
                )


@dataclass(frozen=True)
class NotedOptimization(Optimization):
    """FoldedAdam that clips nothing and notes the norm of every model's gradient."""

    norms: list[Tensor] = field(default_factory=list)

    def clip(self, gradients: Sequence[Tensor], stacked: bool) -> None:
        """Note the norms, (models,)."""
        squares = [gradient.square().flatten(1).sum(dim=1) for gradient in gradients]
        self.norms.append(torch.stack(squares).sum(dim=0).sqrt())

    def optimizer(self, groups: Sequence[Mapping[str, Any]]) -> torch.optim.Optimizer:
        """Its optimizer."""
        return FoldedAdam(groups)


def _plans() -> dict[str, fanin.Plan]:
    """By "CONVENTION: ROW"; the base, which reads no fans, and the slip stand alone."""
    made = {
        f"{convention}: {name}": plan(row, convention)
        for convention in CONVENTIONS
        for name, row in rows().items()
    }
    starts = spell(rows()["He, uniform"], "article") | {HEAD: spell_slip(HEAD_FAN)}
    for name, overrides in ((BASE, {}), (SLIP, starts)):
        made[name] = fanin.plan(SmallConvNet(), initializer=BASE, overrides=overrides)
    return made


def spell_slip(fan_in: int) -> str:
    """He's uniform rule with the bound sqrt(2 / n), where sqrt(6 / n) has his variance."""
    bound = math.sqrt(2 / fan_in)
    return f"uniform({-bound!r}, {bound!r})"


def train_once(
    data: str, images: int, first_seed: int, seeds: int, advance: Advance
) -> dict[str, dict[str, list[Any]]]:
    """By row, for every seed: test accuracy, and norms of the gradient, None where not finite."""
    made = {name: (SmallConvNet, each) for name, each in _plans().items()}
    span = range(first_seed, first_seed + seeds)
    found: dict[str, dict[str, list[Any]]] = {}
    together = max(1, MODELS_IN_A_STACK // seeds)
    for start in range(0, len(made), together):
        part = dict(list(made.items())[start : start + together])
        found |= _train(part, sources.load(data), (images, images, 1), span)
        advance(len(part))
    return found


def train_plain(
    data: str, images: int, epochs: int, test: int, first_seed: int, seeds: int, advance: Advance
) -> dict[str, dict[str, list[Any]]]:
    """The plain network and the CNN from the base, on so many images, so many times."""
    span = range(first_seed, first_seed + seeds)
    found: dict[str, dict[str, list[Any]]] = {}
    for name, make in (("plain", _make_plain), ("CNN", SmallConvNet)):
        row = {name: (make, fanin.plan(make(), initializer=BASE))}
        found |= _train(row, sources.load(data), (images, test, epochs), span)
        advance(1)
    return found


def _make_plain() -> nn.Module:
    """784-128-10 with ReLU: the article does not say what its plain network was."""
    return NETWORKS["mlp"].make(MNIST, nn.ReLU, 1)


def _train(
    rows_: Mapping[str, tuple[Callable[[], nn.Module], fanin.Plan]],
    data: Dataset,
    sizes: tuple[int, int, int],
    seeds: Sequence[int],
) -> dict[str, dict[str, list[Any]]]:
    """All seeds of rows of one network, together; `sizes` are images, test images and epochs."""
    splits = [split(data, *sizes, seed) for seed in seeds] * len(rows_)
    models = []
    for make, made in rows_.values():
        for seed in seeds:
            models.append(make())
            made.apply(models[-1], seed)
    optimization = NotedOptimization("cross_entropy", "adam")
    stack = Stack(models, [RATE] * len(models), optimization, "cpu")
    inputs, labels = torch.from_numpy(data.inputs), torch.from_numpy(data.labels)
    orders = torch.from_numpy(np.stack([part.order.reshape(-1) for part in splits]))
    for batch in orders.split(1, dim=1):  # type: ignore[no-untyped-call]
        stack.step(inputs[batch], labels[batch])
    norms = torch.stack(optimization.norms)
    measured: dict[str, list[Any]] = {
        "accuracy": [
            losses.score(_outputs(stack, index, inputs[part.test]), labels[part.test])
            for index, part in enumerate(splits)
        ],
        "first_norm": _finite(norms[:FIRST].mean(dim=0)),
        "largest_norm": _finite(norms.max(dim=0).values),
    }
    count = len(seeds)
    return {
        row: {
            what: values[count * number : count * (number + 1)] for what, values in measured.items()
        }
        for number, row in enumerate(rows_)
    }


def _outputs(stack: Stack, index: int, images: Tensor) -> Tensor:
    return torch.cat([stack.evaluate(index, piece) for piece in images.split(AT_ONCE)])  # type: ignore[no-untyped-call]


def _finite(values: Tensor) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]
