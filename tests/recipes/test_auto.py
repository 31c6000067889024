"""The recipe auto: scales by hand for small models, and outputs measured in real passes."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import fanin
from fanin import FaninError
from fanin.initializers import constant, normal, ones, zeros
from fanin.plans import Plan
from fanin.recipes._auto import BRANCH, RAW_BRANCH

WIDE = 1 << 14


def scale(plan: Plan, name: str) -> float:
    """n Var(W) of a weight."""
    row = plan[name]
    assert row.std is not None
    assert row.fans is not None
    return row.std**2 * row.fans.fan_in


def test_a_weight_is_scaled_for_what_feeds_it() -> None:
    with torch.device("meta"):  # so wide that no output's variance is by chance
        model = nn.Sequential(
            nn.Linear(50, WIDE),
            nn.ReLU(),
            nn.Linear(WIDE, 2 * WIDE),
            nn.Tanh(),
            nn.Linear(2 * WIDE, WIDE),
            nn.LeakyReLU(0.2),
            nn.Linear(WIDE, 10),
        )
    plan = fanin.plan(model, torch.zeros(2, 50))
    assert scale(plan, "0.weight") == pytest.approx(1.0)
    assert scale(plan, "2.weight") == pytest.approx(2.0)
    assert scale(plan, "4.weight") == pytest.approx(fanin.gain("tanh") ** 2, rel=1e-6)
    assert scale(plan, "6.weight") == pytest.approx(2 / (1 + 0.2**2), rel=1e-6)
    assert plan["2.bias"].initializer == zeros()


def test_an_activation_written_by_hand_is_measured_too() -> None:
    class Swish(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * torch.sigmoid(x)

    plan = fanin.plan(nn.Sequential(nn.Linear(8, 8), Swish(), nn.Linear(8, 8)), torch.zeros(1, 8))
    assert scale(plan, "2.weight") == pytest.approx(fanin.gain("silu") ** 2, rel=1e-6)


def test_inserting_a_layer_changes_no_other_scale() -> None:
    def layers(count: int) -> list[nn.Module]:
        with torch.device("meta"):
            return [one for _ in range(count) for one in (nn.Linear(WIDE, WIDE), nn.GELU())]

    short = fanin.plan(nn.Sequential(*layers(2)), torch.zeros(1, WIDE))
    long = fanin.plan(nn.Sequential(*layers(9)), torch.zeros(1, WIDE))
    first, last = scale(long, "2.weight"), scale(long, "16.weight")
    assert scale(short, "2.weight") == first == pytest.approx(last, rel=1e-3)


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(F.gelu(self.up(self.norm(x))))


@pytest.mark.parametrize("depth", [1, 4, 9])
def test_branches_share_the_stream(depth: int) -> None:
    model = nn.Sequential(*[Block(16) for _ in range(depth)])
    plan = fanin.plan(model, torch.zeros(1, 16))
    gelu = fanin.gain("gelu") ** 2
    for block in range(depth):
        assert scale(plan, f"{block}.up.weight") == pytest.approx(1.0)
        assert scale(plan, f"{block}.down.weight") == pytest.approx(BRANCH * gelu / depth, rel=1e-6)
        assert plan[f"{block}.down.weight"].output == pytest.approx(BRANCH / depth)


def test_a_branch_that_ends_in_a_norm_is_scaled_by_the_norm() -> None:
    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.norm(self.conv(torch.relu(x)))

    plan = fanin.plan(nn.Sequential(*[Normed() for _ in range(4)]), torch.zeros(2, 4, 8, 8))
    assert plan["3.norm.weight"].initializer == constant(float(f"{math.sqrt(RAW_BRANCH / 4):.9g}"))
    assert plan["0.conv.weight"].output == 1.0


@pytest.mark.parametrize("form", ["masked_fill", "where", "buffer"])
def test_a_known_mask_hides_no_factor_of_logits(form: str) -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.v = (nn.Linear(16, 16) for _ in range(3))
            self.register_buffer("past", torch.ones(6, 6).tril())

        def forward(self, x: Tensor) -> Tensor:
            logits = self.q(x) @ self.k(x).transpose(-1, -2) * 0.25
            future = torch.ones(6, 6).triu(1).bool() if form != "buffer" else self.past == 0
            if form == "where":
                logits = torch.where(future, -1e9, logits)
            else:
                logits = logits.masked_fill(future, float("-inf"))
            return logits.softmax(-1) @ self.v(x)

    made = fanin.plan(Attention(), torch.zeros(2, 6, 16))
    assert str(made["q.weight"].initializer) == "lecun_normal()"


def test_logits_have_variance_one_whatever_the_model_divides_by() -> None:
    class Undivided(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.v = (nn.Linear(64, 64, bias=False) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            self.logits = self.q(x) @ self.k(x).transpose(-1, -2)
            return torch.softmax(self.logits, -1) @ self.v(x)

    torch.manual_seed(0)
    model, x = Undivided(), torch.randn(4, 50, 64)
    fanin.initialize(model, 0, x)
    model(x)
    # 10,000 logits of variance 1 by plan, few of them independent: within 15 %.
    assert model.logits.var().item() == pytest.approx(1.0, rel=0.15)


def test_tables_tokens_and_ties() -> None:
    class Language(nn.Module):
        def __init__(self, tied: bool) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(50, 16), nn.Linear(16, 50, bias=False)
            self.positions = nn.Parameter(torch.randn(1, 7, 16))
            if tied:
                self.head.weight = self.table.weight

        def forward(self, tokens: Tensor) -> Tensor:
            return self.head(F.layer_norm(self.table(tokens) + self.positions, (16,)))

    tokens = torch.zeros(2, 7, dtype=torch.long)
    free, tied = (fanin.plan(Language(tied), tokens) for tied in (False, True))
    assert free["table.weight"].initializer == normal(std=1.0)
    assert scale(free, "head.weight") == pytest.approx(1.0)
    assert tied["table.weight"].initializer == normal(std=0.25)
    assert tied["head.weight"].name == "table.weight"
    assert "position" in free["positions"].role


def test_normalizations_start_as_the_identity() -> None:
    plan = fanin.plan(nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), torch.zeros(1, 4))
    assert plan["1.weight"].initializer == ones()
    assert plan["1.bias"].initializer == zeros()


def test_no_scale_depends_on_batch_or_length() -> None:
    model = nn.Sequential(nn.Conv1d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    model.append(nn.Linear(8, 2))
    plans = [fanin.plan(model, torch.zeros(n, 3, t)).rows for n, t in ((1, 5), (2, 64), (7, 640))]
    assert plans[0] == plans[1] == plans[2]


def test_what_the_user_fixes_is_seen_downstream() -> None:
    model = nn.Sequential(nn.Linear(16, 16), nn.Linear(16, 16))
    plan = fanin.plan(model, torch.zeros(1, 16), overrides={"0.weight": "normal(std=0.5)"})
    assert scale(plan, "1.weight") == pytest.approx(1 / (16 * 0.25))


def mlp(norm: Callable[[int], nn.Module]) -> nn.Module:
    layers: list[nn.Module] = [nn.Linear(64, 256)]
    for _ in range(6):
        layers += [norm(256), nn.SiLU(), nn.Linear(256, 256)]
    return nn.Sequential(*layers)


@pytest.mark.parametrize("norm", [nn.Identity, nn.BatchNorm1d, nn.LayerNorm], ids=str)
@pytest.mark.parametrize("train", [True, False])
def test_outputs_are_as_planned_in_real_passes(
    norm: Callable[[int], nn.Module], train: bool
) -> None:
    """Width 256, beta = 7/256 at most: ln RMS within 1.25 beta + sqrt(5 beta), 2 sigma; seed 0."""
    torch.manual_seed(0)
    model, x = mlp(norm), torch.randn(512, 64)
    plan = fanin.initialize(model, 0, x)
    model.train(train)
    beta = 0.0
    for name, layer in model.named_children():
        x = layer(x)
        if isinstance(layer, nn.Linear):
            beta += 1 / 256
            row = plan[f"{name}.weight"]
            assert row.output is not None
            error = math.log(x.square().mean().item() / row.output) / 2
            assert abs(error) < 1.25 * beta + math.sqrt(5 * beta)


class Quantizer(nn.Module):
    """z to the nearest of the rows of a table, straight through."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.inside, self.outside = nn.Linear(4, 4), nn.Linear(4, 3)
        self.codes, self.way = nn.Embedding(8, 4), way

    def forward(self, x: Tensor) -> Tensor:
        z, codes = self.inside(x), self.codes.weight
        if self.way == "cdist":
            chosen = codes[torch.cdist(z, codes).argmin(1)]
        elif self.way == "differences":
            chosen = self.codes(((z[:, None] - codes) ** 2).sum(-1).argmin(1))
        else:
            nearest = ((codes**2).sum(1) - 2 * z @ codes.t()).argmin(1)
            ones = torch.zeros(len(z), 8).scatter_(1, nearest[:, None], 1)
            one_hot = ones if self.way == "scatter" else F.one_hot(nearest, 8).float()
            chosen = self.codes(nearest) if self.way == "rows" else one_hot @ codes
        return self.outside(z + (chosen - z).detach())


@pytest.mark.parametrize("way", ["rows", "scatter", "one_hot", "cdist", "differences"])
def test_a_codebook_is_a_table_and_no_head(way: str) -> None:
    plan = fanin.plan(Quantizer(way), torch.zeros(5, 4))
    assert (plan["codes.weight"].role, plan["codes.weight"].initializer) == ("table", normal())
    # z + (q - z) is q: rows of second moment 1.
    assert scale(plan, "outside.weight") == pytest.approx(1.0)


def test_the_scale_of_a_branch_that_carries_nothing_has_a_size() -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("codes", torch.zeros(4, 8))
            self.up, self.mix = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
            self.scale = nn.Parameter(0.01 * torch.ones(8))

        def forward(self, i: Tensor) -> Tensor:
            x = self.up(F.embedding(i, self.codes))
            return x + self.scale * self.mix(x)

    row = fanin.plan(Branch(), torch.arange(4))["scale"]
    assert row.role == "scale"
    assert row.initializer is not None


def test_an_override_that_does_not_fit_names_its_parameter() -> None:
    with pytest.raises(
        FaninError, match=r"1\.weight \(he_normal\(\)\): shape \(8,\) has no fan-in"
    ):
        fanin.plan(
            nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8)),
            torch.zeros(1, 8),
            overrides={"1.weight": "he_normal"},
        )


def test_an_unused_parameter_is_guessed_with_and_without_inputs() -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.segments = nn.Linear(8, 8), nn.Parameter(torch.randn(2, 4))

        def forward(self, x: Tensor) -> Tensor:
            return self.query(x)

    for inputs in (None, torch.zeros(1, 8)):
        plan = fanin.plan(Unused(), inputs)
        assert plan["segments"].initializer == normal(std=0.02)
        assert any("segments" in note for note in plan.notes)


class Parallel(nn.Module):
    """Branches side by side, which all read the stream as it was."""

    def __init__(self, join: Callable[..., Tensor]) -> None:
        super().__init__()
        self.norm, self.join = nn.LayerNorm(16), join
        self.one, self.two, self.three = (nn.Linear(16, 16) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        layers = (self.one, self.two, self.three)
        return self.join(x, *(layer(self.norm(x)) for layer in layers))


@pytest.mark.parametrize(
    "join",
    [
        lambda x, f, g, h: x + f + g + h,
        lambda x, f, g, h: f + g + h + x,
        lambda x, f, g, h: x + (f + (g + h)),
        lambda x, f, g, h: f + x + g + h,
        lambda x, f, g, h: sum([x, f, g, h]),
        lambda x, f, g, h: x + torch.stack([f, g, h]).sum(0),
        lambda x, f, g, h: torch.stack([x, f, g, h], -1).sum(-1),
        lambda x, f, g, h: x.clone().add_(f).add_(g).add_(h),
        lambda x, f, g, h: x + F.dropout(f, 0.1) + F.dropout(g, 0.1) + F.dropout(h, 0.1),
    ],
)
def test_parallel_branches_share_the_stream_too(join: Callable[..., Tensor]) -> None:
    model = nn.Sequential(nn.Linear(16, 16), Parallel(join), Parallel(join), nn.LayerNorm(16))
    plan = fanin.plan(model, torch.zeros(1, 16))
    for block in (1, 2):
        for name in ("one", "two", "three"):
            assert scale(plan, f"{block}.{name}.weight") == pytest.approx(BRANCH / 6)


class Siren(nn.Module):
    def __init__(self, omega: float, parameter: bool = False) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(2, 64), nn.Linear(64, 64), nn.Linear(64, 1)
        self.omega = nn.Parameter(torch.tensor(omega)) if parameter else omega

    def forward(self, x: Tensor) -> Tensor:
        x = torch.sin(self.omega * self.one(x))
        return self.head(torch.sin(self.omega * self.two(x)))


@pytest.mark.parametrize("parameter", [False, True])
def test_sines_of_large_multiples_get_the_sizes_of_siren(parameter: bool) -> None:
    plan = fanin.plan(Siren(30.0, parameter), torch.zeros(4, 2))
    assert scale(plan, "one.weight") == pytest.approx(1 / (3 * 2))  # U(-1/2, 1/2)
    assert scale(plan, "two.weight") == pytest.approx(2 / 30**2)  # sqrt(6 / n) / 30
    assert "30 z in a sine" in plan["two.weight"].why


def test_a_plain_sine_is_an_activation_like_any_other() -> None:
    plan = fanin.plan(Siren(1.0), torch.zeros(4, 2))
    assert scale(plan, "one.weight") == pytest.approx(1.0)


def test_a_sine_beside_the_stream_itself_changes_nothing() -> None:
    class Snake(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.sin(5 * x) ** 2 / 5

    model = nn.Sequential(nn.Linear(8, 8), Snake(), nn.Linear(8, 8))
    assert scale(fanin.plan(model, torch.zeros(1, 8)), "0.weight") == pytest.approx(1.0)


def test_dropout_is_planned_for_training() -> None:
    layers = [one for _ in range(12) for one in (nn.Linear(256, 256), nn.ReLU(), nn.Dropout(0.5))]
    model = nn.Sequential(*layers, nn.Linear(256, 10))
    x = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    plan = fanin.initialize(model, 0, x)
    torch.manual_seed(0)
    with torch.no_grad():
        # Without it, 4075.
        assert 0.2 < float(model.train()(x).square().mean()) < 5
    assert any(note.startswith("planned for training: dropout") for note in plan.notes)
    assert scale(plan, "3.weight") == pytest.approx(1.0, rel=1e-6)  # ReLU's 2, times 1 - p


def test_a_small_dropout_needs_no_note() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 8))
    plan = fanin.plan(model, torch.zeros(1, 8))
    assert not plan.notes
    assert scale(plan, "3.weight") == pytest.approx(1.8, rel=1e-6)


def test_biases_of_experts_that_lie_side_by_side_start_at_zero() -> None:
    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.back = (nn.Parameter(torch.randn(4, *to)) for to in ((16, 32), (32, 16)))
            self.first, self.last = (nn.Parameter(torch.zeros(4, 1, n)) for n in (32, 16))

        def forward(self, x: Tensor) -> Tensor:
            each = torch.relu(torch.bmm(x.expand(4, -1, -1), self.up) + self.first)
            made: Tensor = x + (torch.bmm(each, self.back) + self.last).sum(0)
            return made

    plan = fanin.plan(Experts(), torch.randn(8, 16))
    assert {plan[name].initializer for name in ("first", "last")} == {zeros()}
