"""How a step is taken: the loss, the clipping and the optimizer, for one model or for many."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fanin.lab.setup import TrialSetup
from fanin.lab.training.losses import LOSSES

_ADAM: dict[str, Any] = {"betas": (0.9, 0.999), "eps": 1e-7}
_OPTIMIZERS: Mapping[str, tuple[Any, dict[str, Any]]] = {
    "sgd": (torch.optim.SGD, {}),
    "momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "adam": (torch.optim.Adam, _ADAM),
    "adamw": (torch.optim.AdamW, _ADAM | {"weight_decay": 0.01}),
}


@dataclass(frozen=True)
class Optimization:
    """A setup's training method."""

    loss_name: str
    optimizer_name: str
    clip_value: float | None = None
    clip_norm: float | None = None

    @classmethod
    def of(cls, setup: TrialSetup) -> "Optimization":
        """The method that a setup names."""
        return cls(setup.loss, setup.optimizer, setup.clip_value, setup.clip_norm)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch."""
        return LOSSES[self.loss_name](outputs, targets)

    def clip(self, gradients: Sequence[Tensor], stacked: bool) -> None:
        """Clip in place, first by value, then by norm: that of each model where they are stacked.

        As torch.nn.utils.clip_grad_value_ and clip_grad_norm_ do.
        """
        if self.clip_value is not None:
            for gradient in gradients:
                gradient.clamp_(-self.clip_value, self.clip_value)
        if self.clip_norm is None:
            return
        first = 1 if stacked else 0
        norm = sum(g.square().sum(dim=tuple(range(first, g.ndim))) for g in gradients)
        factor = (self.clip_norm / (torch.as_tensor(norm).sqrt() + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor.reshape(-1, *[1] * (gradient.ndim - 1)) if stacked else factor)

    def optimizer(self, groups: Sequence[Mapping[str, Any]]) -> torch.optim.Optimizer:
        """torch's optimizer for groups of parameters, each with its rate `lr`."""
        kind, options = _OPTIMIZERS[self.optimizer_name]
        made: torch.optim.Optimizer = kind(list(groups), lr=0.0, fused=True, **options)
        return made


NamedTensors = Iterable[tuple[str, Tensor]]


def training_state(tensors: NamedTensors, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All that the next steps depend on, by names that `restore_training` reads."""
    models = {f"model/{name}": value for name, value in tensors}
    return models | {
        f"optimizer/{index}/{name}": value
        for index, kept in optimizer.state_dict()["state"].items()
        for name, value in kept.items()
        if isinstance(value, Tensor)
    }


def restore_training(
    tensors: NamedTensors, optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]
) -> None:
    """Take over the state of another training of the same models."""
    with torch.no_grad():
        for name, value in tensors:
            value.copy_(state[f"model/{name}"])
    content = optimizer.state_dict()
    content["state"] = {}
    for key, value in state.items():
        if key.startswith("optimizer/"):
            _, index, name = key.split("/", 2)
            content["state"].setdefault(int(index), {})[name] = value
    optimizer.load_state_dict(content)
