"""Objective: what a run is differentiated for: a loss with targets, or a random projection."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from fanin.errors import FaninError, one_line, quote
from fanin.frameworks._observation import TargetStats
from fanin.frameworks.torch.observe._own_loss import find_own_loss
from fanin.frameworks.torch.runs._tensors import as_reals, nothing_in, tensors_in

LossOfUser = Callable[..., Any]
_IGNORED = -100  # a label that counts for nothing
NO_GRADIENT = (
    "no output depends on a parameter, so there is no gradient to look at. Pass a model whose "
    "parameters are used, outside of torch.no_grad()."
)


class Objective:
    """The loss of an output; called once, it knows how many classes there were.

    Without targets and loss it is the loss that the model returns, or a random projection of all
    outputs; with integer targets cross-entropy, with real ones the mean squared error. A loss that
    is given is called with the output and, where there are any, the targets. `labelled` says that
    the model itself was given labels.
    """

    def __init__(
        self,
        targets: Any = None,
        loss: LossOfUser | None = None,
        seed: int = 0,
        labelled: bool = False,
    ) -> None:
        if loss is not None and not callable(loss):
            raise FaninError(f"loss is {quote(loss)}; it is a function of (output, targets).")
        if targets is not None and loss is None and not isinstance(targets, Tensor):
            raise FaninError(
                f"targets has type {type(targets).__name__}; without loss= it is a tensor. Pass "
                "loss=, a function of (output, targets)."
            )
        self.targets = targets
        self.loss = loss
        self.seed = seed
        self.labelled = labelled
        self.own = False  # whether the loss is the model's
        self.classes: int | None = None  # of a cross-entropy
        self.compared: TargetStats | None = None  # real targets of the output's shape

    @property
    def name(self) -> str:
        """What kind of loss it is."""
        if self.loss is not None:
            return "cross-entropy" if _is_cross_entropy(self.loss) else "given"
        if self.targets is None:
            return "the model's own" if self.own else "random projection"
        return "mean squared error" if self.targets.is_floating_point() else "cross-entropy"

    def __call__(self, output: Any) -> Tensor:
        """A number that can be differentiated."""
        try:
            return self._value(output)
        except FaninError:
            raise
        except Exception as error:
            raise FaninError(
                f"the loss fails on this output and these targets: "
                f"{one_line(error, named=True)}. Check targets= and loss=."
            ) from error

    def _value(self, output: Any) -> Tensor:
        self.compared = self._compare(output)
        if self.loss is not None:
            value = self.loss(output, self.targets) if self.targets is not None else None
            return self._check(self.loss(output) if value is None else value, output)
        if self.targets is None:
            found = find_own_loss(output, self.labelled)
            self.own = found is not None
            return project(output, self.seed) if found is None else found.reshape(())
        made = _prediction(output)
        if self.targets.is_floating_point():
            return self._square(made)
        logits = _classes_second(made, self.targets)
        self.classes = logits.shape[1]
        _refuse_labels(self.targets, self.classes)
        return F.cross_entropy(logits.float(), self.targets)

    def _compare(self, output: Any) -> TargetStats | None:
        found, given = tensors_in(output), self.targets
        if not isinstance(given, Tensor) or not given.is_floating_point() or not given.numel():
            return None
        if given.shape not in {tensor.shape for tensor in found}:
            return None
        wide = given.detach().double()
        return TargetStats(
            tuple(given.shape), float(wide.mean()), float(wide.square().mean().sqrt())
        )

    def _square(self, found: Tensor) -> Tensor:
        if found.shape != self.targets.shape:
            raise FaninError(
                f"targets has shape {tuple(self.targets.shape)}, the output {tuple(found.shape)}; "
                "the mean squared error wants the same. Pass loss=, or integer targets for "
                "cross-entropy."
            )
        return F.mse_loss(found.float(), self.targets.float())

    def _check(self, value: Any, output: Any) -> Tensor:
        if isinstance(value, Tensor) and value.numel() == 1 and not value.requires_grad:
            raise FaninError(
                "loss gave a number without a gradient; it is computed from the output, by "
                "operations of torch, outside of torch.no_grad()."
            )
        if not isinstance(value, Tensor) or value.numel() != 1:
            what = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
            raise FaninError(
                f"loss gave {what}; it gives one number, a tensor that depends on the output."
            )
        if self.name == "cross-entropy":
            found = _prediction(output)
            self.classes = found.shape[1] if found.dim() > 1 else None
        return value.reshape(())


def project(output: Any, seed: int = 0) -> Tensor:
    """A random projection of all outputs, as a loss."""
    generator = torch.Generator("cpu").manual_seed(seed)

    def like(tensor: Tensor) -> Tensor:
        drawn = torch.randn(tensor.shape, generator=generator, device="cpu")
        return drawn.to(tensor.device, tensor.dtype)

    found = [as_reals(tensor) for tensor in tensors_in(output)]
    parts = [
        (tensor * like(tensor)).sum()
        for tensor in found
        if tensor.is_floating_point() and tensor.requires_grad
    ]
    if not parts:
        raise FaninError(NO_GRADIENT if found else nothing_in(output))
    return torch.stack([part.float() if part.dtype.itemsize < 4 else part for part in parts]).sum()


def _is_cross_entropy(loss: LossOfUser) -> bool:
    return isinstance(loss, nn.CrossEntropyLoss) or loss is F.cross_entropy


def _prediction(output: Any) -> Tensor:
    """The output that a loss is of: `logits` where there are any, else the first real tensor."""
    named = output.get("logits") if isinstance(output, Mapping) else None
    named = getattr(output, "logits", None) if named is None else named
    found = [tensor for tensor in tensors_in(output) if tensor.is_floating_point()]
    if isinstance(named, Tensor):
        return named
    if not found:
        raise FaninError(
            f"the model returned {type(output).__name__}, in which there is no tensor of real "
            "numbers for the targets. Pass loss=, a function of (output, targets)."
        )
    return found[0]


def _refuse_labels(targets: Tensor, classes: int) -> None:
    """FaninError for labels of a class that has no logit."""
    wrong = targets[(targets != _IGNORED) & ((targets < 0) | (targets >= classes))]
    if wrong.numel():
        low = int(targets[targets != _IGNORED].min())
        shift = " Labels that start at 1 want targets - 1." if low == 1 else ""
        raise FaninError(
            f"targets holds {int(wrong.flatten()[0])}, and there are {classes} logits; a label is "
            f"from 0 to {classes - 1}, or {_IGNORED} where none counts.{shift}"
        )


def _classes_second(logits: Tensor, targets: Tensor) -> Tensor:
    """Logits with the classes as torch wants them, behind the batch."""
    shape, wanted = tuple(logits.shape), tuple(targets.shape)
    if len(shape) == len(wanted) + 1 and len(shape) > 1:
        if (shape[0], *shape[2:]) == wanted and shape[1] > 1:
            return logits
        if shape[:-1] == wanted and shape[-1] > 1:
            return logits.movedim(-1, 1)
    raise FaninError(
        f"targets has shape {wanted}, the output {shape}; cross-entropy wants one integer for each "
        "row of at least two logits. Pass loss=, a function of (output, targets)."
    )
