"""A default device, meta in place of a GPU: fanin's own tensors are where it says they are."""

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin.frameworks.torch import init

IDS = torch.arange(12).reshape(4, 3)
X = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))


@contextmanager
def default_device() -> Iterator[None]:
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16, device="cpu"), nn.GELU(), nn.Linear(16, 3, device="cpu"))


class Reader(nn.Module):
    """Packed sequences, masks and constants that forward makes on the inputs' device."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(12, 8, padding_idx=0, device="cpu")
        self.cell = nn.GRU(8, 8, batch_first=True, device="cpu")
        self.head = nn.Linear(8, 3, device="cpu")

    def forward(self, ids: Tensor) -> Tensor:
        lengths = torch.full((len(ids),), 3, device="cpu")
        packed = nn.utils.rnn.pack_padded_sequence(self.table(ids), lengths, batch_first=True)
        y, _ = nn.utils.rnn.pad_packed_sequence(self.cell(packed)[0], batch_first=True)
        return self.head(y.clamp(min=torch.tensor(-0.5, device="cpu")))


def values(model: nn.Module) -> list[bytes]:
    return [one.detach().numpy().tobytes() for one in model.parameters()]


def planned_and_applied(build: Callable[[], nn.Module], inputs: Any, **how: Any) -> list[bytes]:
    model = build()
    plan = fanin.plan(model, inputs, **how).apply(model, 3)
    plan.verify(model)
    plan.audit(model)
    return values(model)


@pytest.mark.parametrize(
    ("build", "inputs", "how"),
    [
        (network, None, {}),
        (network, X, {}),
        (network, X, {"overrides": {"0.weight": "orthogonal", "2.weight": "laplace(0.1)"}}),
        (network, X, {"recipe": "lsuv"}),
        (network, X, {"recipe": "orthogonal"}),
        (Reader, IDS, {}),
    ],
)
def test_plans_and_weights_are_the_same(
    build: Callable[[], nn.Module], inputs: Any, how: dict[str, Any]
) -> None:
    expected = planned_and_applied(build, inputs, **how)
    with default_device():
        assert planned_and_applied(build, inputs, **how) == expected


def test_initialize_and_a_plan_file(tmp_path: Path) -> None:
    expected, model = network(), network()
    fanin.initialize(expected, 5, X)
    with default_device():
        fanin.initialize(model, 5, X).save(tmp_path / "plan.toml")
        fanin.Plan.load(tmp_path / "plan.toml").verify(model)
    assert values(model) == values(expected)


@pytest.mark.parametrize(("build", "inputs"), [(network, X), (Reader, IDS)])
@pytest.mark.parametrize("targets", [False, True])
def test_check(build: Callable[[], nn.Module], inputs: Tensor, targets: bool) -> None:
    model = build()
    fanin.initialize(model, 0, inputs)
    shape = tuple(model(inputs).shape)
    wanted = {"targets": torch.zeros(shape)} if targets else {}
    expected = fanin.check(model, inputs, **wanted)
    with default_device():
        assert str(fanin.check(model, inputs, **wanted)) == str(expected)


def test_check_of_a_factory_and_a_shape() -> None:
    expected = fanin.check(network, shape=(8,))
    with default_device():
        assert str(fanin.check(network, shape=(8,))) == str(expected)


def test_empty_weights() -> None:
    expected, model = network(), None
    fanin.initialize(expected, 0, X)
    with default_device():
        with fanin.empty_weights():
            model = network()
        fanin.initialize(model, 0, X)
    assert values(model) == values(expected)


@pytest.mark.parametrize("form", ["kaiming_normal_", "orthogonal_", "dirac_", "sparse_", "eye_"])
def test_drop_in_forms(form: str) -> None:
    def drawn() -> list[bytes]:
        weight = (
            torch.empty(6, 6, 3, device="cpu")
            if form == "dirac_"
            else torch.empty(6, 6, device="cpu")
        )
        how = {"sparsity": 0.5} if form == "sparse_" else {}
        seeds = {} if form in ("dirac_", "eye_") else {"seed": 0, "name": "w"}
        getattr(init, form)(weight, **how, **seeds)
        return [weight.numpy().tobytes()]

    expected = drawn()
    with default_device():
        assert drawn() == expected


def test_gains() -> None:
    expected = fanin.gain(nn.SiLU())
    with default_device():
        assert fanin.gain(nn.SiLU()) == expected


# What makes a tensor on the default device where no other is said.
FACTORIES = frozenset(
    (
        *("tensor", "zeros", "ones", "empty", "full", "arange", "linspace", "logspace", "eye"),
        *("rand", "randn", "randint", "randperm", "empty_strided", "tril_indices", "triu_indices"),
    )
)


@pytest.mark.parametrize("package", ["frameworks/torch", "checks", "streams", "plans"])
def test_no_tensor_is_made_without_a_device(package: str) -> None:
    files = sorted((Path(fanin.__file__).parent / package).rglob("*.py"))
    assert files
    found = [
        f"{path.name}:{call.lineno}"
        for path in files
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "torch"
        and call.func.attr in FACTORIES
        and not {"device", None} & {keyword.arg for keyword in call.keywords}
    ]
    assert found == []
