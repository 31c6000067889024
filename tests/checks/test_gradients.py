"""Gradients at the outputs of layers, theory along chains, and chance in narrow networks."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.utils.checkpoint
from torch import Tensor, nn

import fanin
from fanin.checks._activity import silent_by_chance
from fanin.checks._verdict import judge
from fanin.checks._width import band

Batch = tuple[Tensor, Tensor]
Build = Callable[..., nn.Sequential]


def uniform(weight: Tensor) -> Tensor:
    """The rule that Glorot and Bengio found wanting: variance 1 / (3 fan_in)."""
    return nn.init.uniform_(weight, -(weight.shape[1] ** -0.5), weight.shape[1] ** -0.5)


def test_parameter_gradients_hide_what_output_gradients_show(network: Build, batch: Batch) -> None:
    """Glorot & Bengio 2010, equation 14: the gradients of weights are alike over the layers,
    while the back-propagated gradient has become ten times smaller."""
    depth = 8
    model = network(depth, 512, nn.Identity, uniform)
    inputs = batch[0] / batch[0].std()
    weights = [model[2 * at].weight for at in range(1, depth - 1)]
    model(inputs).square().mean().backward()
    of_weights = [float(one.grad.std()) for one in weights if one.grad is not None]
    assert max(of_weights) / min(of_weights) < 1.5
    checkup = fanin.check(model, inputs)
    of_outputs = [one.gradient for one in checkup.layers[:-1]]
    assert of_outputs[0] is not None
    assert of_outputs[-1] is not None
    # A factor of 1/sqrt(3) a layer.
    assert of_outputs[-1] / of_outputs[0] == pytest.approx(3 ** ((depth - 2) / 2), rel=0.2)
    finding = next(one for one in checkup.findings if one.id == "F03")
    assert finding.severity == "warning"
    assert "lecun_normal()" in finding.fix


@pytest.mark.parametrize(
    ("activation", "gain"), [(nn.ReLU, 2**0.5), (nn.Tanh, 1.2), (nn.GELU, 1.4), (nn.SiLU, 1.5)]
)
def test_theory_expects_what_is_measured(
    network: Build, batch: Batch, activation: Any, gain: float
) -> None:
    """Geometric means over 8 draws of width 512, against one draw's theory: within 10 %.

    Standard deviation of ln RMS at the end of 7 layers: sqrt(5 / 4 * 7 / 512) = 0.13 a draw, so
    0.05 of the mean, and theory is that of one draw's variances. Seeds are fixed.
    """
    made = iter(range(100))

    def draw() -> nn.Sequential:
        model = network(8, 512, activation, lambda w: w)
        generator = torch.Generator().manual_seed(next(made))
        for line in model[::2]:
            nn.init.normal_(line.weight, 0, gain / line.in_features**0.5, generator=generator)
        return model

    checkup = fanin.check(draw, batch[0], draws=8)
    layers = checkup.layers[:-1]
    for one in layers[1:]:
        assert one.rms == pytest.approx(one.expected_rms, rel=0.1)
    assert checkup.conditions.draws == 8


def test_a_bias_is_part_of_theory(network: Build, batch: Batch) -> None:
    model = network(4, 512, nn.ReLU, nn.init.kaiming_normal_)
    for line in model[::2]:
        nn.init.normal_(line.bias, mean=0.3, std=0.5)
    layers = fanin.check(model, batch[0]).layers
    for one in layers[1:3]:
        assert one.rms == pytest.approx(one.expected_rms, rel=0.15)


def test_inside_the_band_there_is_a_note_and_no_verdict(network: Build) -> None:
    """8 narrow networks at the right scale: theory is fine, so F02 speaks outside alone.

    That is two standard deviations wide: more than 3 outside come with a chance of 0.04 %.
    """
    inputs = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    verdicts, notes = 0, 0
    for seed in range(8):
        model = network(40, 8, nn.LeakyReLU, lambda weight: weight)
        torch.manual_seed(seed)
        for line in model[::2]:
            nn.init.kaiming_normal_(line.weight)
        checkup = fanin.check(model, inputs, select="F02,F04")
        verdicts += not checkup.ok("warning")
        notes += sum(one.id == "F04" for one in checkup.findings)
        assert all("draws=10" in one.fix for one in checkup.findings if one.id == "F04")
    assert notes > 0
    assert verdicts <= 3


def test_the_band() -> None:
    assert band(0.1) == pytest.approx(0.125 + math.sqrt(0.5))
    assert band(0.1, draws=100) == pytest.approx(0.125 + math.sqrt(0.5) / 10)


@pytest.mark.parametrize(
    ("measured", "theory", "room", "severity", "by_chance"),
    [
        (1e-3, 1.0, 0.5, "warning", False),  # outside of the band: what was measured counts
        (1e-3, 1e-1, 6.0, None, True),  # inside: theory is fine, chance may be to blame
        (0.1, 1e-3, 6.0, "warning", False),  # inside: theory is not fine
        (1e-5, None, 0.5, "error", False),
        (0.0, 1.0, 99.0, "error", False),
    ],
)
def test_verdicts_are_relative_to_theory_and_width(
    measured: float, theory: float | None, room: float, severity: str | None, by_chance: bool
) -> None:
    found = judge(measured, theory, room, 1e2, 1e4)
    assert (found.severity, found.by_chance) == (severity, by_chance)


def test_units_that_are_silent_by_chance() -> None:
    """Against simulation: 4000 units, 16 inputs with correlation 0.9, four standard errors."""
    generator = torch.Generator().manual_seed(0)
    shared = torch.randn(4000, 1, generator=generator)
    own = torch.randn(4000, 16, generator=generator)
    silent = float(((0.9**0.5 * shared + 0.1**0.5 * own) < 0).all(1).float().mean())
    expected = silent_by_chance(0.9, 16)
    assert silent == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 4000))
    assert silent_by_chance(0.0, 256) < 1e-60
    assert silent_by_chance(None, 1) == 0.5


def test_normalization_cuts_chains_in_training_alone(batch: Batch) -> None:
    layers: list[nn.Module] = []
    for _ in range(4):
        line = nn.Linear(64, 64, bias=False)
        nn.init.normal_(line.weight, std=1e-3)
        layers += [line, nn.BatchNorm1d(64), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(64, 10))
    training = fanin.check(model, *batch)
    assert training.ok("warning"), training
    assert [one.position for one in training.layers[:-1]] == [0] * 4
    evaluating = fanin.check(model.eval(), *batch)
    assert [one.position for one in evaluating.layers[:-1]] == [0, 1, 2, 3]
    assert {one.id for one in evaluating.findings} >= {"F02", "F03"}
    assert evaluating.conditions.mode == "eval"


def test_token_selection_is_no_vanishing_gradient() -> None:
    class First(nn.Module):
        """Only the first token is read; a branch works on the others alone."""

        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.head = nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 5)

        def forward(self, x: Tensor) -> Tensor:
            x = self.a(x)
            others = torch.relu(self.b(x[:, 1:]))
            made: Tensor = self.head(torch.cat([x[:, :1], others], 1)[:, 0])
            return made

    torch.manual_seed(0)
    checkup = fanin.check(First(), torch.randn(16, 7, 32))
    assert not [one for one in checkup.findings if one.id == "F03"], checkup


def test_an_addition_inside_of_a_branch_is_of_a_stream_of_its_own() -> None:
    class Block(nn.Module):
        """x + 1e-5 (f(norm(x)) - norm(x)): what is inside has small gradients by intent."""

        def __init__(self) -> None:
            super().__init__()
            self.norm, self.line = nn.LayerNorm(32), nn.Linear(32, 32)

        def forward(self, x: Tensor) -> Tensor:
            normed = self.norm(x)
            made: Tensor = x + 1e-5 * (self.line(normed) - normed)
            return made

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 32), Block(), Block(), nn.Linear(32, 5))
    checkup = fanin.check(model, torch.randn(64, 32))
    assert checkup.ok("warning"), checkup


def test_what_a_weight_is_computed_with_is_no_layer() -> None:
    """The power iteration of a spectral norm multiplies the weight with buffers."""
    line = nn.utils.parametrizations.spectral_norm(nn.Linear(32, 5))
    checkup = fanin.check(nn.Sequential(nn.Linear(32, 32), nn.ReLU(), line), torch.randn(64, 32))
    assert [one.name for one in checkup.layers] == ["0.weight", "2.weight"]
    assert checkup.layers[1].gradient


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_parts(reentrant: bool) -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 16))
            self.head = nn.Linear(16, 4)

        def forward(self, x: Tensor) -> Tensor:
            inner = torch.utils.checkpoint.checkpoint(self.inner, x, use_reentrant=reentrant)
            made: Tensor = self.head(inner)
            return made

    torch.manual_seed(0)
    checkup = fanin.check(Checkpointed(), torch.randn(64, 16, requires_grad=True))
    assert checkup.ok(), checkup
    assert checkup.layers[-1].distinct_gradient_rows == 4
    assert checkup.layers[0].distinct_gradient_rows == 32


@pytest.mark.parametrize("scale", [1e-6, 1.0])
def test_a_small_scale_whose_features_are_concatenated_is_no_exploding_gradient(
    scale: float,
) -> None:
    """Dense blocks with LayerScale: what they add to the features opens as it is trained."""

    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(64, 64), nn.Linear(128, 10)
            self.block = nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.Linear(64, 64))
            self.gamma = nn.Parameter(torch.full((64,), scale))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            kept = self.first(x)
            return self.head(torch.cat([kept, self.gamma * self.block(kept)], 1))

    torch.manual_seed(0)
    checkup = fanin.check(Dense(), torch.randn(64, 64), torch.randint(0, 10, (64,)))
    assert all(one.id != "F03" for one in checkup.findings), checkup


def test_a_small_scale_on_the_only_way_hides_nothing() -> None:
    class Chain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(*(nn.Linear(64, 64) for _ in range(8)))
            for layer in self.layers:
                nn.init.normal_(layer.weight, std=1.0)
            self.head = nn.Linear(64, 10)
            self.gamma = nn.Parameter(torch.full((64,), 1e-6))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.gamma * self.layers(x))

    torch.manual_seed(0)
    model = Chain()
    checkup = fanin.check(model, torch.randn(64, 64), torch.randint(0, 10, (64,)))
    assert any((one.id, one.severity) == ("F03", "error") for one in checkup.findings), checkup


class Padded(nn.Module):
    """Blocks of a stream of tokens, RMS-normalized; the table's padding row is zero."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(16, 32, padding_idx=0), nn.Linear(32, 5)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.RMSNorm(32, eps=1e-12), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 32)
            )
            for _ in range(3)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.table(tokens)
        for block in self.blocks:
            x = x + block(x)
        read: Tensor = self.head(x.mean(1))
        return read


def test_padding_that_a_normalization_reads_is_no_explosion() -> None:
    """At a row of zeros its slope is a million; the table takes no gradient there."""
    torch.manual_seed(0)
    tokens = torch.randint(1, 16, (64, 8))
    tokens[:, 5:] = 0
    done = fanin.check(Padded(), tokens, tokens[:, 0] % 5, select="F03")
    assert done.findings == ()
