"""Values: what the numbers in parameters show, and in their gradients as they come."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from fanin.frameworks._observation import GradientStats, ParameterStats
from fanin.frameworks.observing._nodes import uses_of
from fanin.frameworks.observing._values import describe, describe_gradient
from fanin.frameworks.torch.runs._tensors import is_number, sparse_values
from fanin.graph import Node, Use


@contextmanager
def watch(
    parameters: Mapping[str, Tensor], nodes: Sequence[Node], same: float, *, backward: bool
) -> Iterator[tuple[dict[str, ParameterStats], dict[str, GradientStats]]]:
    """The values of parameters, and of their gradients as they come: each is dropped at once."""
    uses = uses_of(nodes)
    values: dict[str, ParameterStats] = {}
    found: dict[str, GradientStats] = {}
    with ExitStack() as stack:
        for name, tensor in parameters.items():
            if not is_number(tensor):
                continue
            use, largest = uses.get(name), torch.finfo(tensor.dtype).max
            values[name], kind = describe(_as_numbers(tensor), use, same, largest)
            if backward and tensor.requires_grad:
                keep = _keeper(found, name, use, kind, same)
                handle = tensor.register_post_accumulate_grad_hook(keep)  # type: ignore[no-untyped-call]
                stack.callback(handle.remove)
        yield values, found


def _keeper(
    found: dict[str, GradientStats], name: str, use: Use | None, kind: Any, same: float
) -> Callable[[Tensor], None]:
    def keep(tensor: Tensor) -> None:
        gradient, tensor.grad = tensor.grad, None
        if gradient is None:
            return
        if gradient.layout is torch.strided:
            found[name] = describe_gradient(_as_numbers(gradient), use, kind, same)
        else:
            rows = _as_numbers(sparse_values(gradient))
            found[name] = describe_gradient(rows, None, None, same)

    return keep


def _as_numbers(tensor: Tensor) -> Any:
    """An array of NumPy in the tensor's own memory, where NumPy has its type and it is there."""
    values = tensor.detach()
    if values.layout is not torch.strided:
        values = values.to_dense()
    if values.is_complex():
        wide = torch.promote_types(values.dtype, torch.complex64)
        return values.to("cpu", wide).resolve_conj().resolve_neg().numpy()
    known = values.dtype in (torch.float16, torch.float32, torch.float64)
    return (values if known else values.float()).cpu().numpy()
