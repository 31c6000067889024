"""Roles of parameters from the module tree."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

import fanin
from fanin.axes import Axes
from fanin.frameworks.torch import slots
from fanin.param import Param

OUT_IN = Axes(("out", "in"))


def params(model: nn.Module) -> dict[str, Param]:
    return {slot.param.name: slot.param for slot in slots(model)}


def kinds(model: nn.Module) -> dict[str, str]:
    return {name: param.kind for name, param in params(model).items()}


def own(*shape: int, fill: float | None = None) -> nn.Parameter:
    values = torch.arange(float(torch.Size(shape).numel())).reshape(shape)
    return nn.Parameter(values if fill is None else torch.full(shape, fill))


class Holder(nn.Module):
    """A module of an unknown class with these parameters and children."""

    def __init__(self, **held: Any) -> None:
        super().__init__()
        for name, one in held.items():
            setattr(self, name, one)


WEIGHTS: dict[str, tuple[Callable[[], nn.Module], Axes]] = {
    "linear": (lambda: nn.Linear(3, 4), OUT_IN),
    "bilinear": (lambda: nn.Bilinear(3, 4, 5), Axes(("out", "in", "in"))),
    "conv": (lambda: nn.Conv1d(3, 4, 2), Axes(("out", "in", "kernel"))),
    "grouped": (
        lambda: nn.Conv2d(4, 4, 3, stride=2, groups=2),
        Axes(("out", "in", "kernel", "kernel"), groups=2, stride=2),
    ),
    "strides": (
        lambda: nn.Conv3d(1, 1, 2, stride=(1, 2, 3)),
        Axes(("out", "in", *["kernel"] * 3), stride=(1, 2, 3)),
    ),
    "transposed": (
        lambda: nn.ConvTranspose2d(4, 6, 4, stride=2, groups=2),
        Axes(("in", "out", "kernel", "kernel"), groups=2, transposed=True, stride=2),
    ),
    "of unknown class": (lambda: Holder(weight=own(4, 3, 2)), Axes(("out", "in", "kernel"))),
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_and_their_axes(kind: str) -> None:
    make, axes = WEIGHTS[kind]
    found = params(make())
    assert (found["weight"].kind, found["weight"].axes) == ("weight", axes)
    assert "bias" not in found or found["bias"].kind == "bias"


NORMALIZATIONS: list[Callable[[], nn.Module]] = [
    lambda: nn.BatchNorm1d(4),
    lambda: nn.BatchNorm3d(4),
    lambda: nn.SyncBatchNorm(4),
    lambda: nn.InstanceNorm2d(4, affine=True),
    lambda: nn.LayerNorm((4, 2)),
    lambda: nn.GroupNorm(2, 4),
    lambda: nn.RMSNorm(4),
    lambda: Holder(weight=own(4), bias=own(4)),  # of another library, loaded
]


@pytest.mark.parametrize("make", NORMALIZATIONS)
def test_normalizations(make: Callable[[], nn.Module]) -> None:
    found = kinds(make())
    assert found["weight"] == "scale"
    assert found.get("bias", "shift") == "shift"


def test_tables_and_slopes() -> None:
    assert params(nn.Embedding(5, 4))["weight"].kind == "table"
    assert params(nn.EmbeddingBag(5, 4))["weight"].axes == Axes(("stack", "out"))
    slope = nn.PReLU(3, init=0.3)
    nn.init.uniform_(slope.weight)
    assert (params(slope)["weight"].kind, params(slope)["weight"].constant) == ("scale", 0.3)


@pytest.mark.parametrize(
    ("layer", "cell", "gates"),
    [(nn.RNN, nn.RNNCell, 1), (nn.GRU, nn.GRUCell, 3), (nn.LSTM, nn.LSTMCell, 4)],
)
def test_recurrent_layers(layer: Any, cell: Any, gates: int) -> None:
    for model, end in ((layer(3, 5), "_l0"), (cell(3, 5), "")):
        found = params(model)
        blocks = (5,) * gates if gates > 1 else ()
        packed = Axes(("out", "in"), blocks=blocks)
        assert (found[f"weight_ih{end}"].kind, found[f"weight_ih{end}"].axes) == ("weight", packed)
        assert found[f"weight_hh{end}"].kind == "recurrent"
        assert found[f"weight_hh{end}"].axes == packed
        # The two biases are added: one alone tells the gates apart.
        assert found[f"bias_ih{end}"].axes == Axes(("out",), blocks=blocks)
        assert found[f"bias_hh{end}"].axes == Axes(("stack",))
        assert found[f"bias_hh{end}"].kind == "bias"
    projected = params(nn.LSTM(3, 5, proj_size=2, num_layers=2, bidirectional=True))
    assert projected["weight_hr_l1_reverse"].axes == OUT_IN
    assert projected["weight_hh_l0"].axes.blocks == (5, 5, 5, 5)


def test_a_recurrent_layer_may_have_parameters_of_its_own() -> None:
    class Scaled(nn.LSTM):
        def __init__(self) -> None:
            super().__init__(3, 5)
            self.gain = own(5, fill=2.0)

    found = params(Scaled())
    assert found["gain"].kind == "scale"
    assert found["gain"].owner == "Scaled"
    assert found["weight_ih_l0"].owner == "LSTM"
    assert len(found["weight_ih_l0"].axes.blocks) == 4


def test_attention() -> None:
    packed = params(nn.MultiheadAttention(4, 2, add_bias_kv=True))
    assert packed["in_proj_weight"].axes == Axes(("out", "in"), blocks=(4, 4, 4))
    assert (packed["in_proj_bias"].kind, packed["bias_k"].kind) == ("bias", "table")
    assert packed["out_proj.weight"].kind == "weight"
    apart = params(nn.MultiheadAttention(4, 2, kdim=3, vdim=5))
    for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
        assert (apart[name].kind, apart[name].axes) == ("weight", OUT_IN)


def test_conv1d_of_transformers_stores_in_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Conv1D(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.bias = own(3, 4), own(4)

    assert params(Conv1D())["weight"].axes == OUT_IN
    library = SimpleNamespace(Conv1D=Conv1D)
    monkeypatch.setitem(sys.modules, "transformers.pytorch_utils", library)  # type: ignore[arg-type]
    assert params(Conv1D())["weight"].axes == Axes(("in", "out"))
    assert params(Conv1D())["bias"].kind == "bias"


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_parametrized_weights() -> None:
    new = kinds(parametrizations.weight_norm(nn.Conv1d(3, 4, 2)))
    assert (new["weight.original0"], new["weight.original1"]) == ("magnitude", "direction")
    old = params(nn.utils.weight_norm(nn.ConvTranspose1d(3, 4, 2)))
    assert (old["weight_g"].kind, old["weight_v"].kind) == ("magnitude", "direction")
    assert old["weight_v"].axes.transposed
    assert old["weight_g"].axes == Axes(("stack",) * 3)
    recurrent = nn.utils.weight_norm(nn.LSTM(3, 5), "weight_hh_l0")
    assert kinds(recurrent)["weight_hh_l0_g"] == "magnitude"
    for model in (
        parametrizations.spectral_norm(nn.Linear(3, 4)),
        parametrizations.orthogonal(nn.Linear(3, 4)),
        nn.utils.spectral_norm(nn.Linear(3, 4)),
        prune.random_unstructured(nn.Linear(3, 4), "weight", amount=0.5),
    ):
        found = {name: param for name, param in params(model).items() if name != "bias"}
        (weight,) = found.values()
        assert (weight.kind, weight.axes, weight.owner) == ("weight", OUT_IN, "Linear")


def test_an_unknown_parametrization_of_several_tensors_has_no_rule() -> None:
    class Product(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a @ b

        def right_inverse(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return weight[:, :2].clone(), weight[:2].clone()

    model = nn.Linear(4, 4)
    parametrize.register_parametrization(model, "weight", Product(), unsafe=True)
    found = kinds(model)
    assert [found[f"weight.original{i}"] for i in (0, 1)] == ["other", "other"]


BARE: dict[str, tuple[nn.Parameter, str]] = {
    "scalar": (own(), "scale"),
    "one value": (own(1, 1), "scale"),
    "layer scale": (own(6, fill=1e-5), "scale"),
    "layer scale of channels": (own(6, 1, 1, fill=0.1), "scale"),
    "shift": (own(6, fill=0.0), "shift"),
    "vector": (own(6), "other"),
    "class token": (own(1, 1, 6, fill=0.0), "table"),
    "drawn token": (own(1, 6), "table"),
    "positions": (own(1, 5, 6), "table"),
    "matrix": (own(5, 6), "other"),
}


@pytest.mark.parametrize("kind", BARE)
def test_bare_parameters(kind: str) -> None:
    tensor, expected = BARE[kind]
    assert kinds(Holder(one=tensor, layer=nn.Linear(2, 2)))["one"] == expected


def test_a_bias_beside_a_matrix() -> None:
    assert kinds(Holder(kernel=own(3, 4), bias=own(3)))["bias"] == "bias"
    assert kinds(Holder(gain=own(3), bias=own(3)))["bias"] == "other"


class Low(nn.Module):
    """Low-rank updates as LoRA's libraries lay them out: beside, or one module down."""

    def __init__(self, nested: bool) -> None:
        super().__init__()
        a, b = nn.Linear(6, 2, bias=False), nn.Linear(2, 5, bias=False)
        self.base = nn.Linear(6, 5)
        self.base.requires_grad_(False)
        self.a = nn.ModuleDict({"default": a}) if nested else a
        self.b = nn.ModuleDict({"default": b}) if nested else b


@pytest.mark.parametrize("nested", [True, False])
def test_low_rank_updates_start_at_zero(nested: bool) -> None:
    model = nn.Sequential(nn.Linear(4, 6), Low(nested), nn.Linear(5, 2), Low(nested))
    end = ".default" if nested else ""
    found = params(model)
    for low in (1, 3):
        assert found[f"{low}.a{end}.weight"].kind == "weight"
        assert found[f"{low}.b{end}.weight"].kind == "shift"
        assert not found[f"{low}.base.weight"].trainable
    assert found["2.weight"].kind == "weight"


def test_low_rank_parameters_of_the_layer_itself() -> None:
    layer = nn.Linear(6, 6)
    layer.weight.requires_grad_(False)
    layer.lora_A, layer.lora_B = own(2, 6), own(6, 2)
    assert kinds(layer)["lora_B"] == "shift"
    layer.weight.requires_grad_(True)
    assert kinds(layer)["lora_B"] == "other"
    stored_in_out = Holder(weight=own(6, 9).requires_grad_(False), a=own(2, 6), b=own(9, 2))
    found = kinds(stored_in_out)
    assert (found["a"], found["b"]) == ("other", "shift")


def activations(model: nn.Module) -> list[str]:
    return [
        type(param.activation).__name__
        for param in params(model).values()
        if param.kind in ("weight", "direction")
    ]


class Swish(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(x)


class Turn(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flip(-1)


BETWEEN: dict[str, tuple[list[nn.Module], str]] = {
    "nothing": ([], "NoneType"),
    "an activation": ([nn.GELU()], "GELU"),
    "the last of two": ([nn.ReLU(), nn.Tanh()], "Tanh"),
    "dropout and pooling": ([nn.ReLU(), nn.Dropout(), nn.AvgPool1d(1), nn.Identity()], "ReLU"),
    "nested": ([nn.Sequential(nn.Dropout(), nn.Sequential(nn.SiLU()))], "SiLU"),
    "a normalization before": ([nn.LayerNorm(4), nn.ReLU()], "ReLU"),
    "a normalization behind": ([nn.ReLU(), nn.LayerNorm(4)], "NoneType"),
    "one without parameters": ([nn.ReLU(), nn.InstanceNorm1d(4)], "NoneType"),
    "softmax": ([nn.ReLU(), nn.Softmax(-1)], "NoneType"),
    "a slope": ([nn.PReLU()], "LeakyReLU"),
    "one's own": ([Swish()], "Swish"),
    "no function of an element": ([nn.ReLU(), Turn()], "NoneType"),
    "unknown insides": ([nn.ReLU(), Holder(inner=nn.Linear(4, 4))], "NoneType"),
}


@pytest.mark.parametrize("kind", BETWEEN)
def test_the_activation_before_a_weight(kind: str) -> None:
    between, expected = BETWEEN[kind]
    model = nn.Sequential(nn.Linear(4, 4), *between, nn.Linear(4, 4))
    found = activations(model)
    assert (found[0], found[-1]) == ("NoneType", expected)


def test_activations_in_the_order_of_registration() -> None:
    model = Holder(up=nn.Linear(3, 4), act=nn.GELU(), drop=nn.Dropout(), down=nn.Linear(4, 3))
    assert activations(model) == ["NoneType", "GELU"]
    lists = nn.ModuleList([nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)])
    assert activations(lists) == ["NoneType", "NoneType"]
    shared = nn.Linear(4, 4)
    twice = nn.Sequential(shared, nn.ReLU(), shared)
    assert activations(twice) == ["NoneType"]
    normed = nn.Sequential(nn.ReLU(), parametrizations.weight_norm(nn.Linear(3, 3)))
    assert activations(normed) == ["ReLU"]


def test_the_tree_is_only_read() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.RReLU(), nn.BatchNorm1d(4), nn.Linear(4, 4))
    state, random = model.state_dict(), torch.get_rng_state()
    before = {name: value.clone() for name, value in state.items()}
    params(model)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())


def test_models_on_the_meta_device() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(3, 4), nn.PReLU(), nn.LSTM(4, 4))
    found = params(model)
    assert found["0.weight"].constant is None
    assert found["1.weight"].constant == 0.25
    assert found["2.weight_hh_l0"].kind == "recurrent"


@pytest.mark.parametrize(
    "layer", [nn.Linear(8, 1), nn.Conv2d(3, 1, 3), nn.ConvTranspose1d(4, 1, 3), nn.LazyLinear(1)]
)
def test_the_one_number_of_a_drawn_bias_is_no_constant(layer: nn.Module) -> None:
    """Chance does not decide a plan: the bias of a head with one output starts at zero."""
    torch.manual_seed(0)
    if isinstance(layer, nn.LazyLinear):
        layer(torch.zeros(1, 8))
    layer.reset_parameters()  # type: ignore[operator]
    assert layer.bias.item() != 0  # type: ignore[union-attr, operator]
    assert str(fanin.plan(layer)["bias"].initializer) == "zeros()"


@pytest.mark.parametrize("value", [-4.595119850134589, 0.25, 0.1, 3.0])
def test_the_one_number_of_a_bias_that_was_set_stays(value: float) -> None:
    layer = nn.Linear(8, 1)
    nn.init.constant_(layer.bias, value)
    assert fanin.plan(layer)["bias"].initializer.std((1,)) == 0  # type: ignore[union-attr]
    fanin.initialize(layer, 0)
    assert layer.bias.item() == pytest.approx(value)
