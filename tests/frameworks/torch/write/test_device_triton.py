"""Weights drawn where they lie, by Triton's kernels: on a GPU, or in its interpreter."""

import platform
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin import FaninError, initializers
from fanin.frameworks.torch.write import _device
from fanin.frameworks.torch.write._device import orthonormal

GPU = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Kernels draw; returns a list that gets the number of jobs of each call."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("the dev extra has no Triton here")
    if GPU.type == "cpu":
        monkeypatch.setenv("TRITON_INTERPRET", "1")
    calls: list[int] = []
    real = _device.draw_many

    def counted(jobs: Any) -> None:
        calls.append(len(jobs))
        real(jobs, program=1024 if GPU.type == "cuda" else 1 << 14)

    monkeypatch.setattr(_device, "draw_many", counted)
    return calls


class Small(nn.Module):
    """Elements of every sort: packed blocks, a padding row, constants, a transposed one."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(9, 6, padding_idx=2)
        self.attention = nn.MultiheadAttention(6, 2)
        self.grouped = nn.ConvTranspose2d(4, 6, 3, groups=2)
        self.recurrent = nn.LSTM(5, 3)
        self.norm = nn.LayerNorm(7)


def values(model: nn.Module) -> dict[str, Tensor]:
    return {name: one.detach().cpu().clone() for name, one in model.named_parameters()}


def small(dtype: torch.dtype = torch.float32) -> nn.Module:
    return Small().to(dtype=dtype)


OVERRIDES = {"attention.in_proj_weight": "glorot_uniform", "grouped.weight": "truncated_normal"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_a_model_is_drawn_in_one_call_with_the_same_bits(
    kernels: list[int], dtype: torch.dtype
) -> None:
    there = small(dtype).to(GPU)
    plan = fanin.initialize(there, seed=3, overrides=OVERRIDES)
    assert len(kernels) == 2  # and one for the orthogonal weights
    plan.verify(there)
    kernels.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TRITON_INTERPRET", raising=False)
        here = small(dtype)
        plan.apply(here, seed=3)
    assert not kernels
    for name, one in values(here).items():
        if "weight_hh" in name:
            tolerance = initializers.orthogonal().tolerance(str(dtype).removeprefix("torch."))
            torch.testing.assert_close(values(there)[name], one, rtol=0, atol=tolerance)
        else:
            assert torch.equal(values(there)[name], one), name
    assert not values(there)["words.weight"][2].any()


def test_empty_weights_are_made_and_drawn_there(kernels: list[int]) -> None:
    with fanin.empty_weights():
        model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    fanin.initialize(model, seed=1, device=GPU)
    assert kernels == [4]
    assert {one.device.type for one in model.parameters()} == {GPU.type}
    real = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TRITON_INTERPRET", raising=False)
        fanin.initialize(real, seed=1)
    assert all(torch.equal(one, values(model)[name]) for name, one in values(real).items())


def test_a_weight_without_room_is_named_and_the_model_stays_empty(
    kernels: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with fanin.empty_weights():
        model = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3))
    full = torch.empty_like

    def no_room(like: Tensor, **options: Any) -> Tensor:
        if tuple(like.shape) == (3, 4):
            raise torch.OutOfMemoryError
        return full(like, **options)

    monkeypatch.setattr(torch, "empty_like", no_room)
    with pytest.raises(FaninError, match=r"has no room for 1\.weight of shape \(3, 4\)"):
        fanin.initialize(model, seed=1, device=GPU)
    assert all(one.is_meta for one in model.parameters())
    assert kernels == []


def test_what_the_kernels_cannot_draw_the_host_draws(kernels: list[int]) -> None:
    model = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 4)).to(GPU)
    overrides = {"0.weight": "laplace(1.0)", "1.weight": "identity"}
    plan = fanin.initialize(model, seed=1, overrides=overrides)
    assert kernels == [2]  # the biases
    plan.verify(model)


def test_slices_of_memory_are_drawn(kernels: list[int]) -> None:
    """Parameters that are views with strides of their own."""
    model = nn.Linear(6, 4, bias=False)
    model.weight = nn.Parameter(torch.empty(6, 8, device=GPU)[:, ::2].t())
    fanin.initialize(model, seed=5, initializer="normal")
    expected = fanin.Stream(5, "weight").normal((4, 6))
    assert torch.equal(model.weight.detach().cpu(), torch.from_numpy(expected))


@pytest.mark.parametrize("shape", [(5, 5), (8, 3), (3, 2, 4, 4)])
def test_orgqr_gives_the_matrices_of_the_host(shape: tuple[int, ...]) -> None:
    drawn = torch.from_numpy(fanin.Stream(0, "w").normal(shape, dtype="float64"))
    found = orthonormal(drawn.to(GPU), 1.5).cpu()
    columns = shape[-1]
    identity = torch.eye(columns, dtype=torch.float64).expand(*shape[:-2], columns, columns)
    torch.testing.assert_close(found.mT @ found, 2.25 * identity, rtol=0, atol=1e-12)
    matrices = drawn.numpy().copy()
    initializers._householder.orthonormalize(matrices, 1.5)
    torch.testing.assert_close(found, torch.from_numpy(matrices), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("model", "name", "init"),
    [
        (lambda: nn.Linear(40, 24), "weight", "orthogonal"),
        (lambda: nn.Linear(24, 40), "weight", "orthogonal(2.0)"),
        (lambda: nn.Conv2d(8, 6, 3, groups=2), "weight", "orthogonal"),
        (lambda: nn.GRU(6, 10), "weight_hh_l0", "orthogonal"),
        (lambda: nn.ConvTranspose2d(4, 6, 3), "weight", "orthogonal"),  # the host's
    ],
)
def test_orthogonal_weights_agree_with_the_host(
    kernels: list[int], model: Any, name: str, init: str
) -> None:
    there, here = model().to(GPU), model()
    fanin.initialize(there, seed=2, overrides={name: init})
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TRITON_INTERPRET", raising=False)
        fanin.initialize(here, seed=2, overrides={name: init})
    atol = initializers.get(init).tolerance("float32")
    torch.testing.assert_close(values(there)[name], values(here)[name], rtol=0, atol=atol)
