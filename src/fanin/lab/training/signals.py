"""Signal propagation at initialization: the size of each layer's output and of its gradient."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fanin.lab.training.optimization import Optimization

EXAMPLES = 32


@dataclass(frozen=True)
class Signals:
    """RMS by layer, in the order of the run; not finite where the numbers overflow.

    `forward` is the layer's output, `backward` the gradient of the loss with respect to it.
    """

    layers: tuple[str, ...] = ()
    forward: tuple[float, ...] = ()
    backward: tuple[float, ...] = ()


NOT_MEASURED = Signals()


def measure(
    model: nn.Module, optimization: Optimization, inputs: Tensor, targets: Tensor
) -> Signals:
    """Measure a model as it was initialized, in eval mode, on inputs (n, ...).

    A layer is a module that has a weight matrix, a kernel or a table of its own.
    """
    found: list[tuple[str, Tensor]] = []

    def listen(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def hook(module: nn.Module, args: object, output: object) -> None:
            if isinstance(output, Tensor) and output.requires_grad:
                output.retain_grad()
                found.append((name, output))

        return module.register_forward_hook(hook)

    handles = [
        listen(name, module)
        for name, module in model.named_modules()
        if any(value.ndim > 1 for value in module.parameters(recurse=False))
    ]
    training = model.training
    try:
        with torch.random.fork_rng(devices=[]):
            model.eval()
            optimization.loss(model(inputs), targets).backward()  # type: ignore[no-untyped-call]
    finally:
        for handle in handles:
            handle.remove()
        model.train(training)
        model.zero_grad()
    return Signals(
        tuple(name for name, _ in found),
        tuple(_rms(output.detach()) for _, output in found),
        tuple(0.0 if output.grad is None else _rms(output.grad) for _, output in found),
    )


def _rms(signal: Tensor) -> float:
    return float(signal.double().square().mean().sqrt())
