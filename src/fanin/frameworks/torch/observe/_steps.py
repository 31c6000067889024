"""Steps: what an optimizer's first steps do to a model, which are then taken back to the bit."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from fanin.errors import FaninError, one_line
from fanin.frameworks._first_steps import FirstSteps, Sharpness, StepsAsked
from fanin.frameworks._observation import Observation
from fanin.frameworks.torch.observe._look import norm
from fanin.frameworks.torch.observe._optimizers import (
    describe,
    held_by,
    highest_rate,
    make_optimizer,
)
from fanin.frameworks.torch.observe._sharpness import find_sharpness
from fanin.frameworks.torch.runs._inputs import call_arguments
from fanin.frameworks.torch.runs._saved import Saved
from fanin.frameworks.torch.tree._names import canonical_names

LossRun = Callable[[], Tensor]


def take_steps(
    model: nn.Module,
    inputs: Any,
    loss: Callable[[Any], Tensor],
    asked: StepsAsked,
    seed: Callable[[], None],
    look: Callable[[], Observation],
) -> FirstSteps:
    """Train on one batch for some steps, look again, and put everything back.

    `seed` starts the random states of a run, the same ones of each. Memory: a copy of the
    parameters, and what the optimizer keeps.
    """
    args, kwargs = call_arguments(inputs)
    parameters = {
        name: tensor for name, tensor in canonical_names(model).items() if tensor.requires_grad
    }
    optimizer, notes = make_optimizer(asked, parameters)
    moved = {id(tensor) for tensor in held_by(optimizer)}
    trained = {name: tensor for name, tensor in parameters.items() if id(tensor) in moved}

    def run() -> Tensor:
        seed()
        return loss(model(*args, **kwargs))

    with _put_back(model, [*trained.values(), *held_by(optimizer)]):
        sharpness = _measure_sharpness(run, optimizer, [*trained.values()])
        losses, changes, whole = _train(run, optimizer, trained, asked.steps)
        _drop_gradients(trained.values())
        after = look()
    name, rate = describe(optimizer)
    if whole and after.loss is not None:
        losses.append(after.loss)
    if sharpness is None and type(optimizer) is torch.optim.SGD:
        notes.append("the sharpness was not measured: a function has no second derivative.")
    return FirstSteps(
        name,
        rate,
        tuple(losses),
        changes,
        after,
        whole,
        sharpness,
        tuple(notes),
    )


def _measure_sharpness(
    run: LossRun, optimizer: torch.optim.Optimizer, trained: Sequence[Tensor]
) -> Sharpness | None:
    """Of plain SGD, where a rate that is stable follows from it."""
    if highest_rate(optimizer, 1.0) is None:
        return None
    found = find_sharpness(run, trained)
    rate = None if found is None else highest_rate(optimizer, found[0])
    return None if found is None or rate is None else Sharpness(*found, rate)


def _train(
    run: LossRun, optimizer: torch.optim.Optimizer, trained: Mapping[str, Tensor], steps: int
) -> tuple[list[float], dict[str, tuple[float, ...]], bool]:
    """Losses before each step, the change of each parameter, and whether all steps were taken.

    It ends before a step whose loss or gradient is not finite.
    """
    losses = list[float]()
    sizes = {name: size for name, tensor in trained.items() if (size := norm(tensor)) > 0}
    moved: dict[str, tuple[float, ...]] = dict.fromkeys(sizes, ())
    for _ in range(steps):
        _drop_gradients(trained.values())
        value = run()
        losses.append(float(value.detach()))
        value.backward()  # type: ignore[no-untyped-call]
        gradients = [tensor.grad for tensor in trained.values() if tensor.grad is not None]
        if not all(math.isfinite(norm(item)) for item in (value, *gradients)):
            return losses, moved, False
        before = {name: trained[name].detach().clone() for name in sizes}
        _step(optimizer)
        for name, size in sizes.items():
            moved[name] = *moved[name], norm(trained[name] - before[name]) / size
    return losses, moved, True


def _step(optimizer: torch.optim.Optimizer) -> None:
    try:
        optimizer.step()
    except Exception as error:
        raise FaninError(
            f"{type(optimizer).__name__} cannot take a step here: {one_line(error, named=True)}."
        ) from error


def _drop_gradients(tensors: Any) -> None:
    for tensor in tensors:
        tensor.grad = None


@contextmanager
def _put_back(model: nn.Module, parameters: Sequence[Tensor]) -> Iterator[None]:
    """Values, gradients, buffers and all that modules hold are in the end as they were."""
    several = {id(tensor): tensor for tensor in (*model.parameters(), *parameters)}.values()
    kept = [(tensor, tensor.grad, tensor.requires_grad) for tensor in several]
    values = [(tensor, tensor.detach().clone()) for tensor in several if tensor.requires_grad]
    with ExitStack() as stack:
        stack.callback(Saved(model.modules(), tensors=True).restore)
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor, before in values:
                    tensor.data.copy_(before)  # .data: what was made with it stays valid
            for tensor, gradient, trains in kept:
                tensor.grad = gradient
                tensor.requires_grad_(trains)
