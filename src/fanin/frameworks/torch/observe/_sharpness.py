"""Sharpness: the largest eigenvalue of a loss's Hessian, by its products with vectors."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from fanin.frameworks.observing._lanczos import find_largest


def find_sharpness(
    loss: Callable[[], Tensor], parameters: Sequence[Tensor]
) -> tuple[float, float] | None:
    """The eigenvalue, and how far from it one may be; `loss` runs the model anew.

    None where a function has no second derivative, or numbers are not finite.
    """
    sizes = [item.numel() for item in parameters]

    def product(vector: Tensor) -> Tensor:
        parts = [
            part.view_as(item).to(item)
            for part, item in zip(torch.split(vector, sizes), parameters, strict=True)
        ]
        return _flat(_differentiate(gradients, parameters, parts))

    generator = torch.Generator("cpu").manual_seed(0)
    try:
        with sdpa_kernel(SDPBackend.MATH):  # the others have no second derivative
            gradients = _differentiate([loss()], parameters, None)
        start = torch.randn(sum(sizes), generator=generator, device="cpu").to(_flat(gradients))
        return find_largest(product, start, lambda a, b: float(a.double() @ b.double()))
    except (RuntimeError, NotImplementedError):
        return None


def _differentiate(
    of: Sequence[Tensor], by: Sequence[Tensor], vector: Sequence[Tensor] | None
) -> Sequence[Tensor]:
    return torch.autograd.grad(
        of,
        by,
        vector,
        create_graph=vector is None,
        retain_graph=True,
        allow_unused=True,
        materialize_grads=True,
    )


def _flat(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat([part.detach().reshape(-1) for part in parts])
