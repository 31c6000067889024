"""Many models of one architecture, trained side by side in one set of stacked tensors.

A small network at one input a step spends its time between operations, not in them: under vmap a
step of 72 models takes about as long as ten steps of one.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from fanin.lab.training.optimization import Optimization, restore_training, training_state


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread within.

    A step's operations are too small to share. A second thread saves an idle machine 40 % of the
    time; but where another program holds one of two cores, the threads wait for each other at every
    operation, and a step takes 15 times as long. With one, results do not depend on the cores.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Stack:
    """Models that take the same steps on different inputs, each with its own optimizer state.

    `rates` are their learning rates; models of one rate should stand together.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        rates: Sequence[float],
        optimization: Optimization,
        device: str,
    ) -> None:
        parameters, buffers = stack_module_state(list(models))
        self.parameters = {name: value.detach().to(device) for name, value in parameters.items()}
        self.buffers = {name: value.to(device) for name, value in buffers.items()}
        self.shell = copy.deepcopy(models[0]).to("meta")
        self.shell.train()
        self.optimization = optimization
        runs = [(rate, len(list(run))) for rate, run in groupby(rates)]
        ends = [sum(count for _, count in runs[: n + 1]) for n in range(len(runs))]
        self._slices = [slice(end - n, end) for end, (_, n) in zip(ends, runs, strict=True)]
        # Optimizers work element by element, so one on stacked tensors is one for each model.
        self._views = [[value[part] for value in self.parameters.values()] for part in self._slices]
        self._optimizer = optimization.optimizer(
            [
                {"params": views, "lr": rate}
                for views, (rate, _) in zip(self._views, runs, strict=True)
            ]
        )
        self._gradients = vmap(grad_and_value(self._loss))

    def gradients(self, inputs: Tensor, targets: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """By name, before clipping; and the losses (models,)."""
        gradients: dict[str, Tensor]
        gradients, losses = self._gradients(self.parameters, self.buffers, inputs, targets)
        return gradients, losses

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """One step: inputs (models, batch, ...); the losses (models,) before it."""
        gradients, losses = self.gradients(inputs, targets)
        values = list(gradients.values())
        self.optimization.clip(values, stacked=True)
        for part, views in zip(self._slices, self._views, strict=True):
            for parameter, gradient in zip(views, values, strict=True):
                parameter.grad = gradient[part]
        self._optimizer.step()
        return losses

    def evaluate(self, index: int, inputs: Tensor) -> Tensor:
        """One model's outputs, in eval mode.

        One model at a time: on large batches plain convolutions beat the grouped ones of vmap.
        """
        state = {name: value[index] for name, value in (self.parameters | self.buffers).items()}
        self.shell.eval()
        try:
            with torch.no_grad():
                outputs: Tensor = functional_call(self.shell, state, (inputs,))
        finally:
            self.shell.train()
        return outputs

    def state(self) -> dict[str, Tensor]:
        """All that the next steps depend on, by name."""
        return training_state(self._tensors(), self._optimizer)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take over the state of another one of the same models."""
        restore_training(self._tensors(), self._optimizer, state)

    def _tensors(self) -> Iterable[tuple[str, Tensor]]:
        return (self.parameters | self.buffers).items()

    def _loss(
        self,
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
        inputs: Tensor,
        targets: Tensor,
    ) -> Tensor:
        outputs = functional_call(self.shell, (parameters, buffers), (inputs,))
        return self.optimization.loss(outputs, targets)
