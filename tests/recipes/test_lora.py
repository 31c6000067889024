"""Starts of low-rank updates: the products that peft makes, and the model as it was."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import fanin
from fanin import recipes
from fanin.recipes import lora

peft = pytest.importorskip("peft")
from peft.tuners.lora import EvaConfig, LoraGAConfig, preprocess_loraga  # noqa: E402
from peft.tuners.lora.config import CordaConfig  # noqa: E402
from peft.tuners.lora.corda import preprocess_corda  # noqa: E402

X = torch.randn(96, 16, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.3, 2, 16) + 1
Y = torch.arange(96) % 4
RANK, ALPHA = 3, 6.0
T: dict[str, Any] = {"r": RANK, "lora_alpha": ALPHA, "target_modules": ["a", "b"]}
NAMES = ("pissa", "milora", "olora", "mica", "eva", "corda")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(16, 32), nn.Linear(32, 24), nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Any:
        return self.head(torch.tanh(self.b(torch.tanh(self.a(x)))))


def loss(output: Tensor) -> Tensor:
    return F.cross_entropy(output, Y)


def adapted(**config: Any) -> Any:
    torch.manual_seed(0)
    return peft.get_peft_model(Net(), peft.LoraConfig(**T | config))


def peers(name: str) -> Any:
    """What peft makes of the same model and batch."""
    torch.manual_seed(0)
    net, batch = Net(), X.clone().requires_grad_()
    options: dict[str, Any] = {
        "corda": {"corda_config": CordaConfig(corda_method="ipm")},
        "lora_ga": {"lora_ga_config": LoraGAConfig()},
        "eva": {"eva_config": EvaConfig(rho=1.0)},
    }
    config = peft.LoraConfig(init_lora_weights=name, **T | options.get(name, {}))
    if name == "corda":
        preprocess_corda(net, config, run_model=lambda: net(X))
    if name == "lora_ga":
        preprocess_loraga(net, config, lambda: loss(net(batch)).backward())
    model = peft.get_peft_model(net, config)
    if name == "eva":
        peft.initialize_lora_eva_weights(
            model,
            [{"x": X}] * 3,
            prepare_model_inputs_fn=None,
            prepare_layer_inputs_fn=None,
            show_progress_bar=False,
        )
    return model


def layers(model: Any) -> list[Any]:
    return [model.base_model.model.a, model.base_model.model.b]


def factors(layer: Any) -> tuple[Tensor, Tensor]:
    return layer.lora_A["default"].weight.detach(), layer.lora_B["default"].weight.detach()


def project(matrix: Tensor) -> Tensor:
    """Onto the space of the rows."""
    return torch.linalg.pinv(matrix.double()) @ matrix.double()


def start(model: Any, name: str) -> fanin.Plan:
    recipe = lora(name, loss) if name == "lora_ga" else lora(name)
    return fanin.initialize(model, 0, X, recipe)


@pytest.mark.parametrize("name", ["pissa", "olora", "corda"])
def test_products_and_bases_are_those_of_peft(name: str) -> None:
    """To 1e-4 of the largest element, as peft inverts CorDA's matrix in float32."""
    mine, theirs = adapted(), peers(name)
    start(mine, name)
    for own, other in zip(layers(mine), layers(theirs), strict=True):
        (a, b), (its_a, its_b) = factors(own), factors(other)
        product, its = b @ a, its_b @ its_a
        assert (product - its).abs().max() < 1e-4 * its.abs().max()
        assert (own.base_layer.weight - other.base_layer.weight).abs().max() < 2e-5
        assert torch.allclose(project(a), project(its_a), rtol=0, atol=1e-4)
        assert torch.allclose(project(b.T), project(its_b.T), rtol=0, atol=1e-4)


def test_lora_ga_is_that_of_peft_up_to_signs() -> None:
    """B and A have vectors of different singular values, so that their signs are not paired."""
    mine, theirs = adapted(), peers("lora_ga")
    start(mine, "lora_ga")
    for own, other in zip(layers(mine), layers(theirs), strict=True):
        for factor, its in zip(factors(own), factors(other), strict=True):
            assert (factor.abs() - its.abs()).abs().max() < 1e-4 * its.abs().max()


@pytest.mark.filterwarnings("ignore:lora with eva initialization used with low_cpu_mem_usage")
@pytest.mark.parametrize("name", ["mica", "eva"])
def test_spaces_are_those_of_peft_where_the_product_is_zero(name: str) -> None:
    """Of EVA peft's decomposition is a random one of low rank, which is right to 1e-2."""
    mine, theirs = adapted(), peers(name)
    start(mine, name)
    for own, other in zip(layers(mine), layers(theirs), strict=True):
        (a, b), (its_a, its_b) = factors(own), factors(other)
        assert not (b @ a).any()
        assert torch.equal(own.base_layer.weight, other.base_layer.weight)
        first, second = (a, its_a) if name == "eva" else (b.T, its_b.T)
        assert torch.allclose(project(first), project(second), rtol=0, atol=1e-2)
        assert torch.allclose(first.norm(dim=1), torch.ones(RANK), atol=1e-5)


def test_milora_is_made_of_the_smallest_singular_values() -> None:
    model = adapted()
    weight = layers(model)[0].base_layer.weight.detach().clone()
    start(model, "milora")
    a, b = factors(layers(model)[0])
    left, values, right = torch.linalg.svd(weight.double(), full_matrices=False)
    least = left[:, -RANK:] @ torch.diag(values[-RANK:]) @ right[-RANK:]
    assert torch.allclose(ALPHA / RANK * (b @ a).double(), least, atol=1e-6)


@pytest.mark.parametrize("name", [*NAMES, "lora_ga"])
def test_the_model_computes_what_it_did_and_the_plan_proves_it(name: str) -> None:
    model = adapted()
    before = model(X)
    plan = start(model, name)
    assert torch.allclose(model(X), before, rtol=0, atol=2e-6)
    plan.verify(model)
    again, kept = adapted(), [p.clone() for p in model.parameters()]
    assert (
        fanin.plan(again, X, lora(name, loss if name == "lora_ga" else None)).apply(again) == plan
    )
    plan.apply(model)  # knows the hashes alone, and has nothing to do
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), kept, strict=True))
    with torch.no_grad():
        factors(layers(model)[1])[0][0, 0] += 1
    with pytest.raises(fanin.FaninError, match=r"b\.lora_A\.default\.weight holds other values"):
        plan.verify(model)


def test_a_start_of_a_started_model_takes_the_update_back_first() -> None:
    model = adapted()
    before = model(X)
    start(model, "pissa")
    weight = layers(model)[0].base_layer.weight.detach().clone()
    for name in ("eva", "pissa"):
        start(model, name)
        assert torch.allclose(model(X), before, rtol=0, atol=2e-6)
    assert torch.allclose(layers(model)[0].base_layer.weight, weight, atol=1e-6)


def test_a_file_has_the_hashes_and_cannot_draw(tmp_path: Any) -> None:
    model = adapted()
    loaded = fanin.Plan.load(start(model, "pissa").save(tmp_path / "plan.toml"))
    loaded.verify(model)
    fresh = adapted()
    old = {name: p.clone() for name, p in fresh.named_parameters()}
    with pytest.raises(fanin.FaninError, match="holds their hash alone"):
        loaded.apply(fresh)
    assert all(torch.equal(p, old[name]) for name, p in fresh.named_parameters())


def test_a_plan_is_not_applied_to_another_base() -> None:
    plan, other = fanin.plan(adapted(), X, "pissa"), adapted()
    with torch.no_grad():
        layers(other)[1].base_layer.weight[0, 0] += 1
    with pytest.raises(fanin.FaninError, match=r"b\.base_layer\.weight of shape \(24, 32\) holds"):
        plan.apply(other)
    assert not factors(layers(other)[0])[1].any()


def test_weights_of_bfloat16_are_what_their_type_rounds_to() -> None:
    model = adapted().to(torch.bfloat16)
    weight = layers(model)[0].base_layer.weight.detach().clone()
    plan = fanin.initialize(model, 0, X.bfloat16(), "pissa")
    plan.verify(model)
    a, b = factors(layers(model)[0])
    rest = weight.double() - ALPHA / RANK * (b.double() @ a.double())
    assert torch.equal(layers(model)[0].base_layer.weight, rest.to(torch.bfloat16))


class Turned(nn.Module):
    """Weights that are stored (in, out), and an update that is subtracted."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(16, 8), requires_grad=False)
        self.p, self.q = nn.Parameter(torch.randn(16, 2)), nn.Parameter(torch.zeros(2, 8))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.w - 3 * (x @ self.p @ self.q)


def test_an_update_is_known_by_the_run_however_it_is_written() -> None:
    torch.manual_seed(0)
    model = Turned()
    weight, before = model.w.clone(), model(X)
    fanin.initialize(model, 0, X, "pissa")
    left, values, right = torch.linalg.svd(weight.double(), full_matrices=False)
    largest = left[:, :2] * values[:2] @ right[:2]
    assert torch.allclose(-3 * (model.p @ model.q).double(), largest, rtol=0, atol=1e-5)
    assert torch.allclose(model(X), before, atol=1e-5)


def test_the_model_s_own_loss_is_taken() -> None:
    class Labelled(Net):
        def forward(self, x: Tensor, labels: Tensor | None = None) -> Any:
            output = super().forward(x)
            return {"loss": F.cross_entropy(output, labels), "logits": output}

    made = []
    for kind, inputs, recipe in (
        (Net, X, lora("lora_ga", loss)),
        (Labelled, {"x": X, "labels": Y}, "lora_ga"),
    ):
        torch.manual_seed(0)
        made.append(peft.get_peft_model(kind(), peft.LoraConfig(**T)))
        fanin.initialize(made[-1], 0, inputs, recipe)
    for own, other in zip(layers(made[0]), layers(made[1]), strict=True):
        assert torch.equal(*(factors(layer)[1] for layer in (own, other)))


REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no adapters": (Net, {"recipe": "pissa"}, "found no low-rank update"),
    "dora": (lambda: adapted(use_dora=True), {"recipe": "pissa"}, "DoRA's and those"),
    "no inputs": (adapted, {"recipe": "pissa", "inputs": None}, "measures on a batch of data"),
    "one alone": (adapted, {"recipe": "pissa", "keep": "*a.lora_A*"}, "Name both, or none"),
    "base kept": (adapted, {"recipe": "pissa", "only": "*lora_*"}, "its recipe changes it: pissa"),
    "given": (adapted, {"recipe": "eva", "overrides": {"*b.lora_B*": "zeros"}}, "held or given"),
    "constant": (adapted, {"recipe": "eva", "inputs": torch.ones(9, 16)}, "same everywhere"),
    "zero": (adapted, {"recipe": "corda", "inputs": torch.zeros(9, 16)}, "inputs are zero"),
    "no loss": (adapted, {"recipe": "lora_ga"}, "needs a loss"),
    "flat loss": (adapted, {"recipe": lora("lora_ga", lambda y: 0 * y.sum())}, "gradient by it is"),
    "rank": (lambda: adapted(r=9), {"recipe": lora("lora_ga", loss)}, "18 singular vectors"),
    "meta": (lambda: adapted().to("meta"), {"recipe": "pissa"}, "has no memory"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_started_is_refused_and_nothing_changed(case: str) -> None:
    make, arguments, told = REFUSED[case]
    model = make()
    before = {name: p.clone() for name, p in model.named_parameters()}
    with pytest.raises(fanin.FaninError, match=told):
        fanin.initialize(model, 0, **{"inputs": X} | arguments)
    if case != "meta":
        assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


class Whole(nn.Module):
    """A weight of whole numbers, which a run turns into real ones."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randint(-9, 9, (16, 8)).to(torch.int8), requires_grad=False)
        self.p, self.q = nn.Parameter(torch.randn(16, 2)), nn.Parameter(torch.zeros(2, 8))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.w.to(x.dtype) + x @ self.p @ self.q


def test_a_quantized_base_is_named() -> None:
    model = Whole()
    weight, p = model.w.clone(), model.p.clone()
    with pytest.raises(fanin.FaninError, match=r"w of shape \(16, 8\) is quantized \(int8\), and"):
        fanin.initialize(model, 0, X, "pissa")
    assert torch.equal(model.w, weight)
    assert torch.equal(model.p, p)


def test_a_base_with_nan_is_named() -> None:
    model = adapted()
    with torch.no_grad():
        layers(model)[0].base_layer.weight[0, 0] = torch.nan
    with pytest.raises(fanin.FaninError, match=r"a\.base_layer\.weight.* not finite"):
        fanin.initialize(model, 0, X, "pissa")


def test_names_and_functions() -> None:
    assert {*NAMES, "lora_ga", "lora"} <= {*recipes.names()}
    assert recipes.find("pissa").name == "pissa"
    for wrong, told in (("lora", "needs a start"), (lora, "needs a start")):
        with pytest.raises(fanin.FaninError, match=told):
            recipes.find(wrong)  # type: ignore[arg-type]
    with pytest.raises(fanin.FaninError, match="did you mean 'pissa'"):
        lora("pisa")
    with pytest.raises(fanin.FaninError, match="for 'lora_ga' alone"):
        lora("pissa", loss)
