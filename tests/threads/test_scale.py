"""Wrong scales: public failures, each with a small case of its kind."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

import fanin
from fanin import recipes

TOKENS = torch.randint(0, 500, (16, 12), generator=torch.Generator().manual_seed(0))
NEXT = TOKENS.roll(1, 1)


class Block(nn.Module):
    def __init__(self, width: int, multiplier: float = 1.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.multiplier = multiplier

    def forward(self, x: Tensor) -> Tensor:
        return x + self.multiplier * self.down(self.up(self.norm(x)).relu())


class Language(nn.Module):
    def __init__(self, width: int = 64, tied: bool = False) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(500, width), nn.Embedding(12, width)
        self.h = nn.Sequential(*(Block(width) for _ in range(2)))
        self.norm = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, 500, bias=False)
        if tied:
            self.lm_head.weight = self.wte.weight

    def forward(self, tokens: Tensor) -> Any:
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        return self.lm_head(self.norm(self.h(x)))


def loss(logits: Tensor, tokens: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), tokens.flatten())


def test_a_tied_head_of_unit_variance() -> None:
    """torchtitan 2342: loss above 500."""
    torch.manual_seed(0)
    model = Language(tied=True)
    found = fanin.check(model, TOKENS, NEXT, loss).findings
    assert ("F11", "error") in [(finding.id, finding.severity) for finding in found]
    plan = fanin.initialize(model, 0, TOKENS)
    assert plan["wte.weight"].std == pytest.approx(64**-0.5, rel=0.1)
    assert loss(model(TOKENS), NEXT).item() == pytest.approx(math.log(500), abs=1)


def test_a_model_whose_own_values_are_another_recipes() -> None:
    """torchtitan 4104: truncated and scaled by depth, where the family has N(0, 0.02)."""
    family = fanin.plan(Language(), TOKENS, "llama")
    own = fanin.plan(
        Language(), TOKENS, "llama", overrides={"*.down.weight": "truncated_normal(std=0.01)"}
    )
    assert family["h.0.down.weight"].std == 0.02
    lines = family.diff(own)
    assert [line for line in lines if line.startswith("+")] == [
        f"+ h.{at}.down.weight (64, 256) float32: truncated_normal(0.0, 0.01, -2.0, 2.0)"
        for at in (0, 1)
    ]


def test_embeddings_left_by_an_ablation() -> None:
    """LayerNorm-Scaling 6: 0.6 in the published code."""
    model = Language()
    plan = fanin.plan(model, TOKENS, "llama")
    plan.apply(model, 0)
    nn.init.normal_(model.wte.weight, std=0.6)
    (account,) = plan.audit(model).findings
    assert account.name == "wte.weight"
    assert account.planned == (0.0, 0.02)
    assert account.measured is not None
    assert account.measured[1] == pytest.approx(0.6, rel=0.05)


def test_depth_is_counted_once() -> None:
    """Megatron-LM 4999: 1/sqrt(2N) in the graph, and in the values again."""
    x = torch.randn(64, 32, generator=torch.Generator().manual_seed(1))
    stds = []
    for multiplier in (1.0, 24**-0.5):
        model = nn.Sequential(*(Block(32, multiplier) for _ in range(12)))
        stds.append(fanin.initialize(model, 0, x)["5.down.weight"].std)
        assert 0.8 < model(x).square().mean() < 6
    assert stds[1] is not None
    assert stds[0] is not None
    assert stds[1] >= stds[0]


def test_widths_start_alike() -> None:
    """Megatron-LM 3715, before the first step: sizes do not depend on the width."""
    sizes = []
    for width in (64, 128, 256, 512):
        model = Language(width)
        fanin.initialize(model, 0, TOKENS)
        stream = model.h(model.wte(TOKENS) + model.wpe(torch.arange(12)))
        sizes.append([made.square().mean().sqrt().item() for made in (stream, model(TOKENS))])
    for column in zip(*sizes, strict=True):
        assert max(column) < 1.15 * min(column)


def test_mup_says_what_a_wider_head_gets() -> None:
    """transformers 45848: a factor for each weight, printed in the plan."""
    base = {name: tuple(tensor.shape) for name, tensor in Language(64).named_parameters()}
    plan = fanin.plan(Language(256), TOKENS, recipes.mup(base=base))
    narrow = fanin.plan(Language(64), TOKENS, recipes.mup(base=base))
    hidden, head = plan["h.0.up.weight"], plan["lm_head.weight"]
    assert hidden.lr_factor == pytest.approx(narrow["h.0.up.weight"].lr_factor / 4)
    assert head.std is not None
    assert narrow["lm_head.weight"].std is not None
    assert head.std < narrow["lm_head.weight"].std or head.std == 0


def test_positions_have_a_size_of_their_own() -> None:
    """build-nanogpt 18: 0.01 or 0.02; the plan says which, and a change of it is one line."""
    plan = fanin.plan(Language(), TOKENS, "gpt2")
    other = fanin.plan(Language(), TOKENS, "gpt2", overrides={"wpe.weight": "normal(std=0.01)"})
    assert (plan["wpe.weight"].std, other["wpe.weight"].std) == (0.02, 0.01)
    assert len(plan.diff(other)) == 2


@pytest.mark.parametrize("factor", [2, 4])
def test_a_head_that_is_larger_by_a_factor(factor: float) -> None:
    """marin 5222."""
    model = Language()
    plan = fanin.initialize(model, 0, TOKENS)
    with torch.no_grad():
        model.lm_head.weight.mul_(factor)
    (account,) = plan.audit(model).findings
    assert (account.name, account.fault) == ("lm_head.weight", "NOT AS PLANNED")
    assert account.measured is not None
    assert account.planned is not None
    assert account.measured[1] / account.planned[1] == pytest.approx(factor, rel=0.02)


class Routed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(16, 4)
        self.experts = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Any:
        weights = self.gate(x).softmax(-1)
        made = torch.stack([expert(x) for expert in self.experts], 1)
        return self.head((made * weights[..., None]).sum(1))


def test_a_routers_bias_starts_at_zero() -> None:
    """marin 4849: at 64 times the weights' size one expert takes everything."""
    model, x = Routed(), torch.randn(64, 16, generator=torch.Generator().manual_seed(1))
    plan = fanin.initialize(model, 0, x)
    assert not fanin.check(model, x, torch.randint(0, 4, (64,))).findings
    with torch.no_grad():
        model.gate.bias.copy_(64 * model.gate.weight.std() * torch.randn(4))
    assert [account.name for account in plan.audit(model).findings] == ["gate.bias"]


def test_names_say_whose_they_are() -> None:
    """mhcflurry 376: Keras truncates its GlorotNormal, torch does not."""
    theirs = fanin.initializers.get("keras.initializers.GlorotNormal")
    ours = fanin.initializers.get("torch.nn.init.xavier_normal_")
    assert (str(theirs), str(ours)) == ("glorot_truncated_normal()", "glorot_normal()")
    plain = fanin.initializers.to_dict(theirs)
    assert plain == {"name": "glorot_truncated_normal", "arguments": {}}
    assert fanin.initializers.from_dict(plain) == theirs
