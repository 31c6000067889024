"""Many models of one architecture, trained side by side in one set of stacked tensors.

A small network at one image a step spends its time between operations, not in them: under vmap a
step of 72 models takes about as long as ten steps of one.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

BETAS = (0.9, 0.999)
EPSILON = 1e-7
# Larger pieces are slower: their activations are returned to the system and faulted in again.
IMAGES_AT_ONCE = 200


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
    """Models that take the same steps on different images, each with its own Adam state."""

    def __init__(self, models: Sequence[nn.Module], lr: float) -> None:
        parameters, _ = stack_module_state(list(models))
        self.parameters = {name: value.detach() for name, value in parameters.items()}
        self.shell = copy.deepcopy(models[0]).to("meta")
        # Adam works element by element, so one optimizer on stacked tensors is one for each model.
        self.adam = torch.optim.Adam(
            self.parameters.values(), lr=lr, betas=BETAS, eps=EPSILON, fused=True
        )
        self._gradients = vmap(grad_and_value(self._loss))

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        """One Adam step: images (models, batch, 1, 28, 28); the losses (models,) before it."""
        losses: Tensor
        gradients, losses = self._gradients(self.parameters, images, labels)
        for name, parameter in self.parameters.items():
            parameter.grad = gradients[name]
        self.adam.step()
        return losses

    @torch.no_grad()
    def accuracy(self, index: int, images: Tensor, labels: Tensor) -> float:
        """The share of images that one model gets right; an output that is not finite is wrong.

        One model at a time: on large batches plain convolutions beat the grouped ones of vmap.
        """
        parameters = {name: value[index] for name, value in self.parameters.items()}
        right = 0
        for first in range(0, len(labels), IMAGES_AT_ONCE):
            part = slice(first, first + IMAGES_AT_ONCE)
            logits = functional_call(self.shell, parameters, (images[part],))
            hits = (logits.argmax(dim=1) == labels[part]) & logits.isfinite().all(dim=1)
            right += int(hits.sum())
        return right / len(labels)

    def _loss(self, parameters: dict[str, Tensor], images: Tensor, labels: Tensor) -> Tensor:
        logits = functional_call(self.shell, parameters, (images,))
        return nn.functional.cross_entropy(logits, labels)
