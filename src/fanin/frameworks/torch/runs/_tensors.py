"""Tensors in nested values: arguments, results, and the objects that models pass around."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Transform
from torch.nn.utils.rnn import PackedSequence
from torch.utils._pytree import tree_map_only

SPARSE = (
    torch.sparse_coo,
    *(torch.sparse_csr, torch.sparse_csc),
    *(torch.sparse_bsr, torch.sparse_bsc),
)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in nested sequences, mappings, dataclasses and distributions, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from tensors_in(getattr(value, field.name, None))
    elif isinstance(value, (Distribution, Transform)):  # some hold one parameter by two names
        for item in {id(item): item for item in vars(value).values()}.values():
            yield from tensors_in(item)


def nothing_in(result: Any) -> str:
    """What to say of a model's result without tensors."""
    return (
        f"the model returned {type(result).__name__}, in which there is no tensor; pass a model "
        "that returns tensors, in tuples, dicts, dataclasses or torch's distributions."
    )


def sparse_values(tensor: Tensor) -> Tensor:
    """The numbers that a sparse tensor stores, each once; of others all of it."""
    if tensor.layout not in SPARSE:
        return tensor
    return (tensor.coalesce() if tensor.is_sparse else tensor).values()


def is_number(tensor: Tensor) -> bool:
    """Whether its values are real or complex numbers, which gradients move."""
    return tensor.is_floating_point() or tensor.is_complex()


def as_reals(tensor: Tensor) -> Tensor:
    """Complex numbers as both their parts along a last axis; others as they are."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def reach_of(tensor: Tensor) -> int:
    """The bytes from its first element to behind its last."""
    if tensor.is_contiguous():
        return tensor.nbytes
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    return (1 + sum((size - 1) * stride for size, stride in steps)) * tensor.element_size()


def is_freed(tensor: Tensor) -> bool:
    """Whether its memory was given back, as FSDP does: whoever reads it ends the process."""
    own = type(tensor).__torch_dispatch__ is torch._C._disabled_torch_dispatch_impl
    if not own or tensor.layout is not torch.strided or tensor.is_nested or not tensor.numel():
        return False
    start = tensor.storage_offset() * tensor.element_size()
    return tensor.untyped_storage().nbytes() < start + reach_of(tensor)


def arguments_in(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """The same of an operation's arguments, where tensors are alone or in sequences."""
    found: list[Tensor] = []
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += tensors_in(value)
    return found


def map_arguments(change: Callable[[Tensor], Any], value: Any) -> Any:
    """Arguments of an operation with every tensor changed, alone and in sequences."""
    if isinstance(value, Tensor):
        return change(value)
    if type(value) is dict:
        return {name: map_arguments(change, item) for name, item in value.items()}
    if type(value) is list or type(value) is tuple:
        return type(value)([map_arguments(change, item) for item in value])
    return value


def map_tensors(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """Nested values with every tensor changed; those of packed sequences, leaves in torch 2.6."""

    def leaf(item: Any) -> Any:
        if isinstance(item, PackedSequence):
            parts: list[Any] = [None if part is None else change(part) for part in item]
            return PackedSequence(*parts)
        return change(item)

    return tree_map_only((Tensor, PackedSequence), leaf, value)
