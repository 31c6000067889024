"""The torch adapter: what it finds in a model, and what it writes where."""

import copy
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fanin import FaninWarning, Stream, initialize
from fanin.frameworks import adapter_for
from fanin.initializers import Initializer, constant, he_normal, normal, ones, zeros

CONVOLUTIONS = {
    "1d": (lambda: nn.Conv1d(4, 6, 3), (6, 4, 3)),
    "2d": (lambda: nn.Conv2d(4, 6, (3, 5)), (6, 4, 3, 5)),
    "3d": (lambda: nn.Conv3d(4, 6, 2), (6, 4, 2, 2, 2)),
}
NORMALIZATIONS = {
    "batch 1d": lambda: nn.BatchNorm1d(5),
    "batch 2d": lambda: nn.BatchNorm2d(5),
    "batch 3d": lambda: nn.BatchNorm3d(5),
    "sync batch": lambda: nn.SyncBatchNorm(5),
    "instance": lambda: nn.InstanceNorm2d(5, affine=True),
    "layer": lambda: nn.LayerNorm((5, 2)),
    "layer without bias": lambda: nn.LayerNorm(5, bias=False),
    "group": lambda: nn.GroupNorm(2, 4),
    "rms": lambda: nn.RMSNorm(5),
}


def given_by(model: nn.Module, seed: int, **how: Any) -> dict[str, Initializer | None]:
    """The initializer that every parameter gets, by name."""
    return {row.name: row.initializer for row in initialize(model, seed, **how).rows}


def values(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().to(torch.float64).numpy()


def test_linear_layers_get_weights_and_zero_biases() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2, bias=False))
    given = given_by(model, 5, initializer="he_normal")
    assert given == {"0.weight": he_normal(), "0.bias": zeros(), "1.weight": he_normal()}
    assert np.array_equal(model[0].weight.detach(), he_normal()((4, 3), seed=5, name="0.weight"))
    assert np.array_equal(model[1].weight.detach(), he_normal()((2, 4), seed=5, name="1.weight"))
    assert (model[0].bias == 0).all()


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_convolutions_are_read_as_out_in_kernel(kind: str) -> None:
    make, shape = CONVOLUTIONS[kind]
    model = make()
    initialize(model, 0, initializer="he_normal")
    assert np.array_equal(model.weight.detach(), he_normal()(shape, seed=0, name="weight"))
    assert (model.bias == 0).all()


def test_grouped_convolutions_count_their_groups() -> None:
    model = nn.Conv2d(8, 4, 3, groups=4)
    initialize(model, 0, initializer=he_normal("fan_out"))
    expected = he_normal("fan_out")((4, 2, 3, 3), seed=0, name="weight", groups=4)
    assert np.array_equal(model.weight.detach(), expected)


@pytest.mark.parametrize("kind", NORMALIZATIONS)
def test_normalizations_become_the_identity(kind: str) -> None:
    model = NORMALIZATIONS[kind]()
    for tensor in model.parameters():
        nn.init.constant_(tensor, 7.0)
    given = given_by(model, 0, initializer="he_normal")
    assert (model.weight == 1).all()
    assert set(given) == {name for name, _ in model.named_parameters()}
    assert "bias" not in given or (model.bias == 0).all()


def test_statistics_start_anew_and_other_buffers_are_left_alone() -> None:
    model = nn.BatchNorm1d(3)
    model.register_buffer("own", torch.full((3,), 5.0))
    model.running_mean += 5.0
    initialize(model, 0, initializer="he_normal")
    assert (model.running_mean == 0).all()
    assert (model.own == 5).all()


@pytest.mark.parametrize("table", [nn.Embedding(7, 4), nn.EmbeddingBag(7, 4)])
def test_tables_are_stored_in_rows_and_sum_nothing(table: nn.Module) -> None:
    initialize(table, 0, initializer="lecun_normal")
    expected = Stream(0, "weight").normal((7, 4), 0.0, 1.0)
    assert np.array_equal(table.weight.detach(), expected)


@pytest.mark.parametrize("padding", [0, 3, -1])
def test_the_padding_row_of_a_table_stays_zero(padding: int) -> None:
    plain, padded = nn.Embedding(7, 4), nn.Embedding(7, 4, padding_idx=padding)
    for table in (plain, padded):
        initialize(table, 0, initializer="normal")
    assert (padded.weight[padding] == 0).all()
    rows = [row for row in range(7) if row != padding % 7]
    assert torch.equal(padded.weight[rows], plain.weight[rows])


def test_padding_is_a_matter_of_the_table_alone() -> None:
    class Scaled(nn.Embedding):
        def __init__(self) -> None:
            super().__init__(5, 3, padding_idx=1)
            self.gain = nn.Parameter(torch.zeros(3))

    model = Scaled()
    initialize(model, 0, initializer="normal", overrides={"gain": "ones"})
    assert (model.gain == 1).all()
    assert (model.weight[1] == 0).all()


class Tied(nn.Module):
    """A head that is registered before the embedding whose table it shares."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 9, bias=False)
        self.embedding = nn.Embedding(9, 4, padding_idx=2)
        self.head.weight = self.embedding.weight


def test_a_tie_is_drawn_once_under_the_embeddings_name() -> None:
    model = Tied()
    assert list(given_by(model, 0, initializer="normal")) == ["embedding.weight"]
    assert model.head.weight is model.embedding.weight
    alone = nn.ModuleDict({"embedding": nn.Embedding(9, 4, padding_idx=2)})
    initialize(alone, 0, initializer="normal")
    assert torch.equal(model.head.weight, alone["embedding"].weight)


def test_a_tie_without_a_table_goes_under_the_first_name() -> None:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    given = given_by(nn.ModuleDict({"a": first, "b": second}), 0, initializer="normal")
    assert list(given) == ["a.weight", "a.bias", "b.bias"]
    assert list(given_by(nn.ModuleList([first, first]), 0, initializer="normal")) == [
        "0.weight",
        "0.bias",
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_values_are_those_of_the_stream_in_every_dtype(dtype: str) -> None:
    model = nn.Linear(30, 20).to(getattr(torch, dtype))
    initialize(model, 0, initializer="he_normal")
    expected = he_normal()((20, 30), seed=0, name="weight", dtype=dtype)
    assert np.array_equal(values(model.weight), expected.astype(np.float64))
    assert model.weight.dtype == getattr(torch, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_memory_layout_does_not_matter(dtype: torch.dtype) -> None:
    plain, other = (nn.Conv2d(4, 6, 3, dtype=dtype) for _ in range(2))
    other = other.to(memory_format=torch.channels_last)
    assert not other.weight.is_contiguous()
    transposed = nn.Linear(5, 3, dtype=dtype)
    transposed.weight = nn.Parameter(torch.zeros(5, 3, dtype=dtype).t())
    for model in (plain, other, transposed):
        initialize(model, 0, initializer="he_normal")
    assert torch.equal(plain.weight, other.weight)
    linear = nn.Linear(5, 3, dtype=dtype)
    initialize(linear, 0, initializer="he_normal")
    assert torch.equal(transposed.weight, linear.weight)


def test_adding_removing_and_reordering_layers_changes_no_other() -> None:
    def model(*names: str) -> nn.Module:
        layers = {"a": (4, 8), "b": (8, 8), "c": (8, 3), "d": (3, 3)}
        return nn.Sequential(OrderedDict((name, nn.Linear(*layers[name])) for name in names))

    small, large = model("a", "b", "c"), model("d", "c", "b", "a")
    initialize(small, 0, initializer="glorot_uniform")
    initialize(large, 0, initializer="glorot_uniform")
    for name, tensor in small.state_dict().items():
        assert torch.equal(tensor, large.state_dict()[name])


def test_seeds_differ_and_repeat() -> None:
    model = nn.Linear(20, 20)
    drawn = []
    for seed in (0, 1, 0):
        initialize(model, seed, initializer="normal")
        drawn.append(model.weight.detach().clone())
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])


def test_parameters_stay_what_they_were() -> None:
    model = nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    before = dict(model.named_parameters())
    model.weight.grad = torch.ones(2, 3)
    initialize(model, 0, initializer="normal")
    for name, parameter in model.named_parameters():
        assert parameter is before[name]
        assert parameter.is_leaf
    assert model.weight.requires_grad
    assert not model.bias.requires_grad
    assert (model.weight.grad == 1).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autograd_notices_the_write(dtype: torch.dtype) -> None:
    model = nn.Linear(3, 2, dtype=dtype)
    before = model.weight._version
    x = torch.ones(1, 3, dtype=dtype, requires_grad=True)
    y = model(x)
    initialize(model, 0, initializer="normal")
    assert model.weight._version > before
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_the_torch_generator_is_not_touched() -> None:
    model, before = nn.Linear(3, 2), torch.get_rng_state()
    initialize(model, 0, initializer="normal")
    assert torch.equal(torch.get_rng_state(), before)


def test_overrides_go_by_name_and_pattern() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.PReLU(), nn.Linear(2, 2))
    overrides = {"*.bias": "constant(0.5)", "1.weight": "constant(0.25)", "2.weight": normal()}
    given = given_by(model, 0, initializer="he_normal", overrides=overrides)
    assert given["1.weight"] == constant(0.25)
    assert given["2.weight"] == normal()
    assert (model[1].weight == 0.25).all()
    assert (model[0].bias == 0.5).all()


def test_a_scalar_parameter_may_be_overridden() -> None:
    class Scalar(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate = nn.Parameter(torch.tensor(3.0))

    model = Scalar()
    initialize(model, 0, initializer="normal", overrides={"gate": ones()})
    assert model.gate == 1
    initialize(model, 0, initializer="normal", overrides={"gate": "normal"})
    assert model.gate.item() == Stream(0, "gate").normal(1)[0]


def test_models_made_in_inference_mode_are_written() -> None:
    with torch.inference_mode():
        model = nn.Linear(3, 2)
    initialize(model, 0, initializer="normal")
    assert np.array_equal(values(model.weight), Stream(0, "weight").normal((2, 3)))


def test_a_model_without_parameters_gets_nothing() -> None:
    with pytest.warns(FaninWarning, match="ReLU has no parameters, so nothing was drawn"):
        assert given_by(nn.ReLU(), 0, initializer="normal") == {}


def test_slots_describe_parameters() -> None:
    model = nn.Sequential(nn.Conv2d(4, 6, 3, groups=2), nn.LayerNorm(3))
    slots = adapter_for(model).slots(copy.deepcopy(model))
    described = [(slot.param.name, slot.param.kind, str(slot.param.axes)) for slot in slots]
    assert described == [
        ("0.weight", "weight", "out in kernel kernel"),
        ("0.bias", "bias", "stack"),
        ("1.weight", "scale", "stack"),
        ("1.bias", "shift", "stack"),
    ]
    assert (slots[0].param.axes.groups, slots[0].param.owner, slots[0].param.dtype) == (
        2,
        "Conv2d",
        "float32",
    )
