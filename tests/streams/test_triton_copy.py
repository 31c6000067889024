"""Where there is no Triton the CPU draws, in chunks: the same bits."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fanin import FaninError, Stream
from fanin.streams import Constant, Distribution, Normal, TruncatedNormal, _triton, _triton_copy
from fanin.streams._address import region
from fanin.streams._triton import DrawJob
from fanin.streams._triton_copy import copy_many

DISTRIBUTIONS: tuple[Distribution, ...] = (
    Constant(0.3),
    Normal(0.0, 1.0),
    TruncatedNormal(0.0, 1.0, -2.0, 2.0),
)
WIDTH = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.cpu().contiguous().view(WIDTH[tensor.element_size()]).numpy().tobytes()


@given(
    st.sampled_from(DISTRIBUTIONS),
    st.sampled_from(["float32", "float64", "bfloat16", "float16"]),
    st.lists(st.integers(0, 9), max_size=4),
    st.integers(8, 200),
    st.randoms(),
)
def test_copies_without_triton_are_the_draws(
    distribution: Distribution, dtype: str, shape: list[int], chunk: int, random: Any
) -> None:
    """Whatever the chunk, the order of the addresses and that of the memory."""
    axes = list(range(len(shape)))
    order, layout = random.sample(axes, len(axes)), random.sample(axes, len(axes))
    memory = torch.full([shape[axis] for axis in layout], 7, dtype=getattr(torch, dtype))
    tensor = memory.permute([layout.index(axis) for axis in axes])
    index = tuple(slice(None, None, random.choice([1, 1, -1])) for _ in axes)
    copy_many([DrawJob(tensor, distribution, 1, "a", region(tuple(shape), index, order))], chunk)
    expected = Stream(1, "a").draw(distribution, shape, dtype, index, order=order)
    assert bits(tensor) == expected.tobytes()


def test_without_triton_the_copy_draws_and_says_so_once(
    gpu: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr(_triton, "find_spec", lambda name: None)
    _triton._has_triton.cache_clear()
    tensor = torch.zeros(100, device=gpu)
    job = DrawJob(tensor, DISTRIBUTIONS[1], 1, "a", region((100,)))
    with pytest.warns(RuntimeWarning, match=r"Triton 3\.\d or later is not installed: the CPU dra"):
        _triton.draw_many([job])
    assert bits(tensor) == Stream(1, "a").normal(100).tobytes()
    _triton.draw_many([job])  # and no second warning, which would be an error
    _triton._has_triton.cache_clear()


def test_a_copy_without_memory_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("cannot pin")

    tensor = torch.full((5,), 7.0)
    monkeypatch.setattr(_triton_copy.torch, "empty", full)
    with pytest.raises(FaninError, match=r"no memory for buffers of 20 bytes .* a of shape \(5"):
        copy_many([DrawJob(tensor, DISTRIBUTIONS[1], 1, "a", region((5,)))])
    assert torch.all(tensor == 7)
