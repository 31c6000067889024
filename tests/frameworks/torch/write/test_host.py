"""The parameters of a model drawn in one call of the kernel: each as it is drawn alone."""

import math
from contextlib import nullcontext
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import fanin
from fanin import FaninError
from fanin.frameworks.torch.write import _all, _host
from fanin.frameworks.torch.write._bytes import bytes_of
from fanin.streams import backends, use_backend

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
INITIALIZERS = [
    "he_normal",
    "glorot_uniform",
    "truncated_normal",
    "variance_scaling(2.0, 'fan_avg', 'truncated_normal', bounds=(-1, 3))",
    "normal(-2.0, 0.3)",
    "uniform(-0.5, 0.1)",
    "laplace(0.02)",
    "signs",
    "constant(-0.3)",
    "zeros",
    "orthogonal",
]


def strided(shape: tuple[int, ...], dtype: torch.dtype, how: str) -> Tensor:
    """Memory of ones, of this shape and these strides."""
    if how == "columns":
        return torch.ones(shape[::-1], dtype=dtype).permute(*reversed(range(len(shape))))
    if how == "every other":
        wide = torch.ones([2 * size for size in shape], dtype=dtype)
        return wide[tuple(slice(None, None, 2) for _ in shape)]
    if how == "offset":
        return torch.ones(math.prod(shape) + 3, dtype=dtype)[3:].view(shape)
    return torch.ones(shape, dtype=dtype)


class Holder(nn.Module):
    def __init__(self, tensors: list[Tensor]) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for tensor in tensors:
            layer = nn.Linear(1, 1, bias=False)
            layer.weight = nn.Parameter(tensor)
            self.layers.append(layer)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """A parameter, and perhaps the part of it that this process holds."""
    shape = (draw(st.integers(1, 9)), draw(st.integers(1, 90)))
    index = None
    if draw(st.booleans()):
        sides = []
        for size in shape:
            low = draw(st.integers(0, size - 1))
            sides.append(slice(low, draw(st.integers(low + 1, size)), draw(st.integers(1, 3))))
        index = tuple(sides)
    return {
        "shape": shape,
        "index": index,
        "dtype": draw(st.sampled_from(DTYPES)),
        "how": draw(st.sampled_from(["rows", "columns", "every other", "offset"])),
        "initializer": draw(st.sampled_from(INITIALIZERS)),
    }


def bits(values: Any) -> bytes:
    if isinstance(values, Tensor):
        return bytes_of(values)
    return np.ascontiguousarray(values).tobytes()


@given(st.lists(cases(), min_size=1, max_size=8), st.integers(0, 2**64 - 1))
def test_any_parameters(wanted: list[dict[str, Any]], seed: int) -> None:
    names = [f"layers.{number}.weight" for number in range(len(wanted))]
    whole = {name: case["shape"] for name, case in zip(names, wanted, strict=True)}
    tensors, shards, expected = [], {}, []
    for name, case in zip(names, wanted, strict=True):
        initializer = fanin.initializers.get(case["initializer"])
        dtype = str(case["dtype"]).removeprefix("torch.")
        values = initializer(case["shape"], seed=seed, name=name, dtype=dtype)
        if case["index"] is not None:
            values = values[case["index"]]
            shards[name] = (case["shape"], case["index"])
        assert dtype != "bfloat16" or values.dtype == ml_dtypes.bfloat16
        tensors.append(strided(values.shape, case["dtype"], case["how"]))
        expected.append(values)
    rows = {name: case["initializer"] for name, case in zip(names, wanted, strict=True)}
    planned = Holder([torch.empty(shape, dtype=torch.float32) for shape in whole.values()])
    for layer, case in zip(planned.layers, wanted, strict=True):
        layer.to(case["dtype"])
    plan = fanin.plan(planned, overrides=rows)
    for backend in (backends()[0], "reference"):
        model = Holder([tensor.clone() for tensor in tensors])
        versions = [one._version for one in model.parameters()]
        with use_backend(backend):
            plan.apply(model, seed, shards=shards)
        for one, values, before in zip(model.parameters(), expected, versions, strict=True):
            assert bits(one) == bits(values)
            assert one._version > before
            assert one.requires_grad


class Small(nn.Module):
    """Packed blocks of unequal gates, groups of a transposed convolution, a padding row, a tie."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(9, 6, padding_idx=2)
        self.attention = nn.MultiheadAttention(6, 2)
        self.grouped = nn.ConvTranspose2d(4, 6, 3, groups=2)
        self.recurrent = nn.LSTM(5, 3)
        self.norm = nn.BatchNorm1d(7)
        self.head = nn.Linear(6, 9, bias=False)
        self.head.weight = self.words.weight
        self.maps = nn.Linear(6, 6)
        self.frozen = nn.Linear(3, 3).requires_grad_(False)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("empty", [False, True])
def test_a_model_is_as_slots_written_one_by_one(
    dtype: torch.dtype, empty: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build() -> nn.Module:
        torch.manual_seed(0)
        with fanin.empty_weights() if empty else nullcontext():
            return Small().to(dtype)

    rules = {
        "maps.weight": "orthogonal",
        "grouped.weight": "he_uniform",
        "maps.bias": "laplace(0, 1)",
    }
    first = build()
    plan = fanin.plan(first, overrides=rules | {"frozen.*": "normal(0, 1)"}).apply(first, 5)
    monkeypatch.setattr(_all, "draws_here", lambda item: False)
    second = build()
    plan.apply(second, 5, prefix="")
    mine, theirs = (dict(model.named_parameters()) for model in (first, second))
    assert {name: bits(one) for name, one in mine.items()} == {
        name: bits(one) for name, one in theirs.items()
    }
    assert bool((first.words.weight[2] == 0).all())
    assert first.head.weight is first.words.weight


def test_one_call_draws_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = _host.fill_many
    monkeypatch.setattr(
        _host,
        "fill_many",
        lambda jobs, *how, **more: (calls.append(len(jobs)), real(jobs, *how, **more)),
    )
    fanin.initialize(nn.Sequential(*(nn.Linear(3, 3) for _ in range(100))))
    assert calls == [0, 100]


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (torch.ones(3, 1).expand(3, 3), "elements overlap"),
        (torch.frombuffer(bytearray(41), dtype=torch.float32, offset=1, count=9).view(3, 3), "una"),
        (torch.ones(3, 3).to_sparse(), "layout"),
        (torch.ones(3, 3, dtype=torch.complex64).conj().imag, "cannot be written"),
    ],
)
def test_a_failed_call_leaves_all_as_it_was(broken: Tensor, told: str) -> None:
    model = Holder([torch.ones(3, 3), torch.ones(3, 3)])
    plan = fanin.plan(model, initializer="he_normal")
    model.layers[1].weight = nn.Parameter(broken)
    versions = [one._version for one in model.parameters()]
    with pytest.raises(FaninError, match=f"layers.1.weight.*{told}"):
        plan.apply(model)
    assert bool((model.layers[0].weight == 1).all())
    assert versions == [one._version for one in model.parameters()]


def test_minus_zero_counts_as_zero() -> None:
    for first, second in ((0.0, -0.0), (-0.0, 0.0)):
        model = Holder([torch.ones(2, 2), torch.ones(2, 2)])
        rules = {"layers.0.weight": f"constant({first})", "layers.1.weight": f"constant({second})"}
        fanin.initialize(model, overrides=rules)
        assert not any(bool(torch.signbit(one).any()) for one in model.parameters())
