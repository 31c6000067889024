"""Tensors whose memory was given back: what holds them is left alone, and nothing reads them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin import FaninError
from fanin.frameworks.torch.runs._tensors import is_freed

INPUTS = torch.linspace(-1, 1, 32).view(4, 8)


def freed(size: int = 0) -> Tensor:
    tensor = torch.zeros(1 << 20)
    tensor.untyped_storage().resize_(size)
    return tensor


def test_memory_that_is_too_small_counts_as_freed() -> None:
    tensor = torch.zeros(6, 4)
    assert not any(is_freed(view) for view in (tensor, tensor.T, tensor[2:], tensor[6:]))
    late = tensor[2:]
    tensor.untyped_storage().resize_(5 * 4 * 4)
    assert is_freed(tensor)
    assert is_freed(late)
    assert not is_freed(tensor[:5])


@pytest.mark.parametrize("size", [0, 1000])
def test_a_freed_attribute_stands_against_no_run(size: int) -> None:
    """FSDP2 keeps such buffers of what it gathered; copying one ended the process."""
    model: Any = nn.Linear(8, 4)
    model.kept = [{"gathered": freed(size)}]
    assert fanin.check(model, INPUTS).verdict.startswith("Signal and gradient pass")
    fanin.initialize(model, 0, INPUTS, "lsuv")
    assert model.kept[0]["gathered"].untyped_storage().nbytes() == size


@pytest.mark.parametrize("name", ["weight", "table"])
@pytest.mark.parametrize(
    "call",
    [
        lambda model: fanin.check(model, INPUTS),
        lambda model: fanin.initialize(model, 0),
        lambda model: fanin.plan(model, INPUTS),
    ],
    ids=["check", "initialize", "plan"],
)
def test_a_freed_parameter_or_buffer_is_refused(name: str, call: Callable[[Any], Any]) -> None:
    model = nn.Linear(8, 4)
    model.register_buffer("table", torch.zeros(5))
    getattr(model, name).untyped_storage().resize_(0)
    with pytest.raises(FaninError, match=rf"the memory of {name} of shape .* was given back"):
        call(model)
