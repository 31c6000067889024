"""Advice that works: followed word for word, the loss falls where it did not before.

Every sick network takes 40 steps of Adam as it is, and 40 with each advice of its errors, or of its
warnings where it has no errors. Seeds are fixed.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

import fanin
from bench.calibration.warned.advice import follow
from tests.checks.adapters import LowRank

pytestmark = pytest.mark.usefixtures("one_thread")

_GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(128, 32, generator=_GENERATOR)
TEACHER = torch.randn(32, 64, generator=_GENERATOR) / 4, torch.randn(64, 4, generator=_GENERATOR)
TARGETS = (torch.tanh(INPUTS @ TEACHER[0]) @ TEACHER[1]).argmax(1)
CHANCE = math.log(4)
STEPS = 40

he, glorot, normal = nn.init.kaiming_normal_, nn.init.xavier_normal_, nn.init.normal_
Edit = Callable[[nn.Linear], Any]


def chain(
    activation: Callable[[], nn.Module],
    depth: int,
    rule: Callable[[Tensor], Any],
    edits: dict[int, Edit] | None = None,
    norm: Callable[[int], nn.Module] | None = None,
    width: int = 64,
) -> Callable[[], nn.Module]:
    """A network of so many hidden layers; `edits` make single ones sick."""

    def build() -> nn.Module:
        torch.manual_seed(0)
        layers: list[nn.Module] = []
        for at in range(depth + 1):
            line = nn.Linear(width if at else 32, width if at < depth else 4)
            rule(line.weight)
            nn.init.zeros_(line.bias)
            with torch.no_grad():
                (edits or {}).get(at, lambda line: None)(line)
            layers += [line, *([norm(width)] if norm else []), activation()]
        return nn.Sequential(*layers[: -2 if norm else -1])

    return build


def bias(value: float) -> Edit:
    return lambda line: line.bias.fill_(value)


def weight(edit: Callable[[Tensor], Any]) -> Edit:
    return lambda line: edit(line.weight)


def constant(values: Tensor) -> Tensor:
    return nn.init.constant_(values, 0.01)


def ordered(line: nn.Linear) -> None:
    normal(line.weight, std=0.5 / line.in_features**0.5)
    normal(line.bias, std=0.5)


def without_scales() -> nn.Module:
    model = chain(nn.ReLU, 3, he, norm=nn.LayerNorm)()
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            nn.init.zeros_(module.weight)
    return model


class Block(nn.Module):
    def __init__(self, zero: bool) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(64, 64), nn.Linear(64, 64)
        for line in (self.first, self.last):
            nn.init.zeros_(line.weight) if zero else he(line.weight)
            nn.init.zeros_(line.bias)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = x + self.last(torch.relu(self.first(x)))
        return made


def residual(blocks: int, zero: bool) -> nn.Module:
    torch.manual_seed(0)
    body = [Block(zero) for _ in range(blocks)]
    return nn.Sequential(nn.Linear(32, 64), nn.ReLU(), *body, nn.Linear(64, 4))


class Last(nn.Module):
    """The readout of a recurrent module's last state, its weights drawn by a rule."""

    def __init__(self, kind: Any, rule: Callable[[Tensor], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.head = kind(8, 32, batch_first=True), nn.Linear(32, 4)
        for values in self.rnn.parameters():
            rule(values)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.head(self.rnn(x.unflatten(1, (4, 8)))[0][:, -1])
        return made


class Gated(nn.Module):
    """Nothing but a branch behind a gate."""

    def __init__(self, start: float, gate: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.branch, self.start = chain(nn.ReLU, 2, he)(), nn.Parameter(torch.tensor(start))
        self.skip, self.gate = nn.Linear(32, 4), gate
        self.skip.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.skip(x) + self.gate(self.start) * self.branch(x)
        return made


class Sick(NamedTuple):
    build: Callable[[], nn.Module]
    inputs: Tensor = INPUTS
    rate: float = 1e-3


RAW = 200 + 100 * INPUTS
FAST = 1e-2
CASES = {
    "zeros, relu": Sick(chain(nn.ReLU, 3, nn.init.zeros_)),
    "zeros, tanh": Sick(chain(nn.Tanh, 3, nn.init.zeros_)),
    "zeros, sigmoid": Sick(chain(nn.Sigmoid, 3, nn.init.zeros_), rate=FAST),
    "constants, relu": Sick(chain(nn.ReLU, 3, constant)),
    "constants, tanh": Sick(chain(nn.Tanh, 3, constant)),
    "saturated tanh": Sick(chain(nn.Tanh, 10, normal, width=128)),
    "vanishing": Sick(chain(nn.ReLU, 12, lambda w: glorot(w, 0.5))),
    "exploding": Sick(chain(nn.ReLU, 8, normal)),
    "overflow": Sick(chain(nn.ReLU, 18, lambda w: normal(w, std=30.0))),
    "dead by bias": Sick(chain(nn.ReLU, 3, he, {1: bias(-30.0)})),
    "dead by weight": Sick(chain(nn.ReLU, 3, he, {2: weight(lambda w: w.copy_(-w.abs()))})),
    "tanh by bias": Sick(chain(nn.Tanh, 8, glorot, dict.fromkeys(range(8), bias(3.0)))),
    "sigmoid by bias": Sick(
        chain(nn.Sigmoid, 2, glorot, dict.fromkeys((0, 1), bias(-10.0))), rate=FAST
    ),
    "ordered": Sick(chain(nn.Tanh, 16, glorot, dict.fromkeys(range(16), ordered))),
    "raw data": Sick(chain(nn.Tanh, 3, glorot), RAW),
    "raw data, large weights": Sick(chain(nn.Tanh, 3, normal), RAW),
    "scales of zero": Sick(without_scales),
    "one zero": Sick(chain(nn.ReLU, 3, he, {1: weight(Tensor.zero_)})),
    "zeros in series": Sick(chain(nn.ReLU, 3, he, dict.fromkeys((1, 2, 3), weight(Tensor.zero_)))),
    "branches of zeros": Sick(lambda: residual(4, zero=True), rate=FAST),
    "a stream that grows": Sick(lambda: residual(20, zero=False)),
    "low rank": Sick(lambda: LowRank(4), rate=FAST),
    "equal units, lstm": Sick(lambda: Last(nn.LSTM, constant), rate=FAST),
    "equal units, gru": Sick(lambda: Last(nn.GRU, constant), rate=FAST),
    "large weights, lstm": Sick(lambda: Last(nn.LSTM, lambda w: normal(w, std=4.0)), rate=FAST),
    "shut gate": Sick(lambda: Gated(-30.0, torch.sigmoid)),
    "shut relu": Sick(lambda: Gated(-1.0, torch.relu)),
    "never filled": Sick(chain(nn.ReLU, 3, he, {1: weight(lambda w: w.fill_(1e30))})),
    "not a number": Sick(chain(nn.ReLU, 3, he, {1: weight(lambda w: w[0].fill_(math.nan))})),
    "large readout": Sick(chain(nn.ReLU, 3, he, {3: weight(lambda w: w.normal_(std=100.0))})),
}


def train(model: nn.Module, inputs: Tensor, rate: float) -> float:
    """The loss after some steps; infinite where it is no number."""
    moving = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(moving, rate)
    for _ in range(STEPS):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), TARGETS).backward()
        optimizer.step()
    loss = float(nn.functional.cross_entropy(model(inputs), TARGETS).detach())
    return loss if math.isfinite(loss) else math.inf


@pytest.mark.parametrize("name", CASES)
def test_the_loss_falls_where_advice_is_followed(name: str) -> None:
    build, inputs, rate = CASES[name]
    checkup = fanin.check(build(), inputs, TARGETS)
    severity = checkup.findings[0].severity
    assert severity != "note"
    before, followed = train(build(), inputs, rate), 0
    for finding in checkup.findings:
        if finding.severity != severity:
            continue
        for do in follow([finding], checkup, build(), inputs):
            model, followed = build(), followed + 1
            after = train(model, do(model, 0), rate)
            assert after < 0.8 * min(before, CHANCE), f"{before:.3g}, {after:.3g}: {finding}"
    assert followed
