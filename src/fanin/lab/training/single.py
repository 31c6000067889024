"""One model, trained by plain torch: for models that vmap cannot stack."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from fanin.lab.training.optimization import Optimization, restore_training, training_state


class Single:
    """What a Stack of one model is, with the same signatures; the model itself is trained."""

    def __init__(
        self,
        models: Sequence[nn.Module],
        rates: Sequence[float],
        optimization: Optimization,
        device: str,
    ) -> None:
        (model,), (rate,) = models, rates
        self.model = model.to(device).train()
        self.optimization = optimization
        self._parameters = [value for value in self.model.parameters() if value.requires_grad]
        self._optimizer = optimization.optimizer([{"params": self._parameters, "lr": rate}])

    def gradients(self, inputs: Tensor, targets: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """By name, with a first axis of length one, before clipping; and the loss (1,)."""
        loss = self._backward(inputs, targets)
        found = {
            name: torch.zeros_like(value) if value.grad is None else value.grad
            for name, value in self.model.named_parameters()
        }
        return {name: value[None] for name, value in found.items()}, loss

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """One step: inputs (1, batch, ...); the loss (1,) before it."""
        loss = self._backward(inputs, targets)
        gradients = [value.grad for value in self._parameters if value.grad is not None]
        self.optimization.clip(gradients, stacked=False)
        self._optimizer.step()
        return loss

    def evaluate(self, index: int, inputs: Tensor) -> Tensor:
        """The model's outputs, in eval mode."""
        self.model.eval()
        try:
            with torch.no_grad():
                outputs: Tensor = self.model(inputs)
        finally:
            self.model.train()
        return outputs

    def state(self) -> dict[str, Tensor]:
        """All that the next steps depend on, by name."""
        return training_state(self._tensors(), self._optimizer)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take over the state of another one of the same models."""
        restore_training(self._tensors(), self._optimizer, state)

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        yield from self.model.named_parameters()
        yield from self.model.named_buffers()

    def _backward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        self._optimizer.zero_grad()
        loss = self.optimization.loss(self.model(inputs[0]), targets[0])
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()[None]
