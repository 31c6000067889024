"""Whether trials are stacked or trained one after another: decided by trying, and told."""

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from fanin.errors import one_line
from fanin.lab.training.optimization import Optimization
from fanin.lab.training.single import Single
from fanin.lab.training.stack import Stack

TOLERANCE = 1e-2  # relative; wrong mathematics is off by far more, rounding by far less
MODELS_IN_A_STACK = 96  # larger stacks are hardly faster, and lose more where a run is killed
INPUTS_IN_A_STEP = 512  # bounds the memory of a step
BYTES_IN_A_STACK = 2**30  # of parameters; gradients and the optimizer need up to three times more


def capacity(model: nn.Module, batch_size: int) -> int:
    """How many models one stack may hold."""
    size = sum(value.numel() * value.element_size() for value in model.parameters())
    room = BYTES_IN_A_STACK // max(1, size)
    return max(1, min(MODELS_IN_A_STACK, INPUTS_IN_A_STEP // batch_size, room))


def why_not_stacked(
    models: Sequence[nn.Module], optimization: Optimization, inputs: Tensor, targets: Tensor
) -> str | None:
    """The reason to train two such models apart; None where a stack gives the same numbers.

    `inputs` (2, batch, ...) and `targets` are a batch for each. The models stay as they are.
    """
    if any(not value.requires_grad for value in models[0].parameters()):
        return "some of its parameters are frozen"
    rates = [0.01, 0.01]
    # Adam would make full steps of gradients that are all rounding, such as those of a key's bias.
    optimization = replace(optimization, optimizer_name="sgd")
    with torch.random.fork_rng(devices=[]):
        try:
            stack = Stack(copy.deepcopy(list(models)), rates, optimization, "cpu")
            together = [stack.gradients(inputs, targets), _after(stack, inputs, targets)]
        except Exception as error:  # whatever torch raises at what vmap does not know
            return _tell(error)
    for index, model in enumerate(models):
        part = slice(index, index + 1)
        single = Single([copy.deepcopy(model)], rates[part], optimization, "cpu")
        batch = inputs[part], targets[part]
        for alone, stacked in zip(
            [single.gradients(*batch), _after(single, *batch)], together, strict=True
        ):
            same = all(_close(alone[0][name], stacked[0][name][part]) for name in alone[0])
            if not same or not _close(alone[1], stacked[1][part]):
                return "stacked, it gives other numbers than alone"
    return None


def _tell(error: Exception) -> str:
    """Why a stack cannot be, in the model's words where the reason is one of the usual."""
    text = str(error)
    if "randomness" in text:
        return "it draws random numbers in training, as dropout does"
    if ".item()" in text or "data-dependent" in text:
        return "it decides by a value of a tensor"
    return f"torch.vmap cannot take it ({one_line(error)})"


def _after(
    trainer: Stack | Single, inputs: Tensor, targets: Tensor
) -> tuple[dict[str, Tensor], Tensor]:
    """The losses after a step, and the outputs for the first input in eval mode."""
    trainer.step(inputs, targets)
    losses = trainer.step(inputs, targets)
    outputs = [trainer.evaluate(index, inputs[index, :1]) for index in range(len(inputs))]
    return {"outputs": torch.stack(outputs)}, losses


def _close(first: Tensor, second: Tensor) -> bool:
    if not (first.isfinite().all() and second.isfinite().all()):
        return bool((first.isfinite() == second.isfinite()).all())
    scale = float(torch.maximum(first.norm(), second.norm()))
    return float((first - second).norm()) <= TOLERANCE * scale + 1e-6
