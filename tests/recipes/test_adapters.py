"""Adapters: beside a frozen base they start as nothing, train from there, and the base stays."""

from typing import Any

import pytest
import torch
from torch import nn

import fanin

peft = pytest.importorskip("peft")
X = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
T = {"target_modules": ["a", "b"]}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(16, 32), nn.Linear(32, 24), nn.Linear(24, 4)

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(torch.relu(self.b(torch.relu(self.a(x)))))


CONFIGS: dict[str, Any] = {
    "lora": peft.LoraConfig(r=4, **T),
    "rslora": peft.LoraConfig(r=4, use_rslora=True, **T),
    "gaussian": peft.LoraConfig(r=4, init_lora_weights="gaussian", **T),
    "dora": peft.LoraConfig(r=4, use_dora=True, **T),
    "pissa": peft.LoraConfig(r=4, init_lora_weights="pissa", **T),
    "olora": peft.LoraConfig(r=4, init_lora_weights="olora", **T),
    "orthogonal": peft.LoraConfig(r=4, init_lora_weights="orthogonal", **T),
    "adalora": peft.AdaLoraConfig(total_step=10, **T),
    "vera": peft.VeraConfig(r=4, **T),
    "randlora": peft.RandLoraConfig(r=4, **T),
    "ia3": peft.IA3Config(feedforward_modules=["b"], **T),
    "loha": peft.LoHaConfig(r=4, **T),
    "lokr": peft.LoKrConfig(r=4, **T),
    "oft": peft.OFTConfig(oft_block_size=4, **T),
}


def adapted(name: str, adapter: str = "default") -> Any:
    torch.manual_seed(0)
    return peft.get_peft_model(Net(), CONFIGS[name], adapter)


def run(model: Any) -> torch.Tensor:
    return model.get_base_model()(X)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", CONFIGS)
def test_the_model_is_its_base_and_can_train(name: str) -> None:
    """At least one factor of every update gets a gradient: two zero factors would keep both."""
    model = adapted(name)
    frozen = {key: p.clone() for key, p in model.named_parameters() if not p.requires_grad}
    buffers = {key: buffer.clone() for key, buffer in model.named_buffers()}
    before = run(model)
    plan = fanin.initialize(model, 3, X)
    plan.verify(model)
    assert torch.allclose(run(model), before, rtol=0, atol=1e-7)
    assert all(torch.equal(p, frozen[n]) for n, p in model.named_parameters() if n in frozen)
    assert all(torch.equal(buffer, buffers[key]) for key, buffer in model.named_buffers())
    run(model).square().sum().backward()  # type: ignore[no-untyped-call]
    moved = {key for key, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert {key.split(".")[2] for key in moved} == {"a", "b"}, moved


@pytest.mark.parametrize("name", ["lora", "dora", "loha", "adalora"])
def test_what_is_drawn_follows_from_the_seed(name: str) -> None:
    first, second = adapted(name), adapted(name)
    fanin.initialize(first, 3, X)
    torch.manual_seed(9)
    for parameter in second.parameters():
        if parameter.requires_grad and parameter.any() and parameter.ndim == 2:
            nn.init.normal_(parameter)
    fanin.initialize(second, 3, X)
    for mine, theirs in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_an_adapter_is_known_by_its_graph_whatever_its_name() -> None:
    usual, other = adapted("lora"), adapted("lora", "kiwi")
    rows = [fanin.plan(model, X).rows for model in (usual, other)]
    assert [(row.shape, row.initializer) for row in rows[0]] == [
        (row.shape, row.initializer) for row in rows[1]
    ]


class Update(nn.Module):
    """W x + B A x, of parameters without telling names; those in `zero` are."""

    def __init__(self, zero: str) -> None:
        super().__init__()
        self.base = nn.Linear(16, 32).requires_grad_(False)
        self.p, self.q = nn.Parameter(torch.randn(4, 16)), nn.Parameter(torch.randn(32, 4))
        for name in zero:
            nn.init.zeros_(self.get_parameter(name))

    def forward(self, x: torch.Tensor) -> Any:
        return self.base(x) + x @ self.p.T @ self.q.T


@pytest.mark.parametrize("zero", ["p", "q"])
def test_the_factor_that_was_made_zero_stays_zero(zero: str) -> None:
    model = Update(zero)
    fanin.initialize(model, 3, X)
    assert not model.get_parameter(zero).any()
    assert model.get_parameter("q" if zero == "p" else "p").std() > 0.05


def test_of_two_zero_factors_the_first_is_drawn() -> None:
    """Neither would ever get a gradient; the update starts as nothing all the same."""
    model = nn.Sequential(Update("pq"), nn.ReLU(), nn.Linear(32, 64).requires_grad_(False))
    plan = fanin.initialize(model, 3, X)
    assert model[0].p.std() > 0.05
    assert not model[0].q.any()
    assert any("the constructor made 0 of 0.p" in note for note in plan.notes)
    model(X).square().sum().backward()
    assert model[0].q.grad.any()


def test_pissa_is_kept_as_peft_made_it_and_proved_by_its_hash() -> None:
    torch.manual_seed(0)
    weight = Net().a.weight.detach()
    model = adapted("pissa")
    plan = fanin.initialize(model, 3, X)
    layer = model.base_model.model.a
    a, b = layer.lora_A["default"].weight.detach(), layer.lora_B["default"].weight.detach()
    u, s, vh = torch.linalg.svd(weight, full_matrices=False)
    best = u[:, :4] @ torch.diag(s[:4]) @ vh[:4]
    assert torch.allclose(layer.scaling["default"] * b @ a, best, atol=1e-5)
    assert torch.allclose(layer.base_layer.weight, weight - best, atol=1e-5)
    row = plan["base_model.model.a.lora_B.default.weight"]
    assert row.initializer is None
    assert row.kept_sha256 is not None
    assert row.why.startswith("orthogonal, as what is made of a frozen weight")
    assert plan.diff(fanin.plan(adapted("pissa"), X)) == ()
    with torch.no_grad():
        layer.lora_B["default"].weight[0, 0] += 1
    with pytest.raises(fanin.FaninError, match="lora_B"):
        plan.verify(model)


def test_a_recipe_and_an_initializer_keep_it_too() -> None:
    for how in ({"recipe": "torch"}, {"initializer": "he_normal"}):
        model = adapted("olora")
        before = run(model)
        fanin.initialize(model, 3, X, **how)
        assert torch.equal(run(model), before)


class Quantized(nn.Module):
    """A base of whole numbers with a scale, int8 or two in a byte as 4-bit weights are."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits
        shape = (32, 16) if bits == 8 else (32 * 16 // 2, 1)
        kind = torch.int8 if bits == 8 else torch.uint8
        values = torch.randint(0, 100, shape, generator=torch.Generator().manual_seed(0))
        self.weight = nn.Parameter(values.to(kind), requires_grad=False)
        self.lora_a, self.lora_b = nn.Linear(16, 4, bias=False), nn.Linear(4, 32, bias=False)
        nn.init.zeros_(self.lora_b.weight)

    def forward(self, x: torch.Tensor) -> Any:
        values = self.weight
        if self.bits == 4:
            values = torch.stack([values & 15, values >> 4], -1).view(32, 16)  # type: ignore[assignment]
        return x @ (values.to(x.dtype).T - 7) / 50 + self.lora_b(self.lora_a(x))


@pytest.mark.parametrize("bits", [8, 4])
def test_quantized_bases_stay(bits: int) -> None:
    model = Quantized(bits)
    weight, before = model.weight.clone(), model(X)
    plan = fanin.initialize(model, 3, X)
    plan.verify(model)
    assert torch.equal(model.weight, weight)
    assert torch.equal(model(X), before)
    assert model.lora_a.weight.std() > 0.05
