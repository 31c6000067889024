"""What training makes small, and the figure that is noted: the same for all starts of a model."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from bench.starts.data import IGNORED, Data

Step = Callable[[nn.Module, tuple[Tensor, ...], Tensor], tuple[Tensor, Tensor]]


class Objective(NamedTuple):
    """`step` gives the loss of a batch and the figure to note, mostly the same.

    `chance` is the figure of the best answer that does not look at the inputs.
    """

    step: Step
    chance: Callable[[Data], float]


def _plain(criterion: Callable[[Tensor, Tensor], Tensor]) -> Step:
    def step(
        model: nn.Module, inputs: tuple[Tensor, ...], targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        loss = criterion(model(*inputs), targets)
        return loss, loss

    return step


def _entropy(data: Data) -> float:
    """Of the classes that there are, in nats."""
    _, counts = data.targets[data.targets != IGNORED].unique(return_counts=True)
    shares = counts / counts.sum()
    return -float((shares * shares.log()).sum())


def _variance(data: Data) -> float:
    """Of the targets around their mean over rows."""
    return float(data.targets.var(0, correction=0).mean())


CLASSES = Objective(_plain(lambda out, classes: F.cross_entropy(out, classes)), _entropy)
NUMBERS = Objective(_plain(lambda out, numbers: F.mse_loss(out, numbers)), _variance)
TRUTH = Objective(
    _plain(lambda out, truth: F.binary_cross_entropy_with_logits(out, truth)), _entropy
)

QUANTILES = (0.1, 0.5, 0.9)


def _pinball(out: Tensor, numbers: Tensor) -> Tensor:
    levels = out.new_tensor(QUANTILES)
    missed = numbers - out
    return torch.maximum(levels * missed, (levels - 1) * missed).mean()


def _pinball_chance(data: Data) -> float:
    levels = torch.tensor(QUANTILES)
    constant = torch.quantile(data.targets[:, 0], levels)
    return float(_pinball(constant.expand(len(data.targets), -1), data.targets))


QUANTILE = Objective(_plain(_pinball), _pinball_chance)


def _evidence(out: tuple[Tensor, Tensor, Tensor], images: Tensor) -> Tensor:
    """Of a VAE, a pixel: squared error plus a hundredth of the divergence from N(0, 1)."""
    made, mean, log_variance = out
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
    return F.mse_loss(made, images) + 0.1 * divergence / images[0].numel()


EVIDENCE = Objective(_plain(_evidence), _variance)


def _unlikelihood(out: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
    """Of a flow, a dimension, in nats above those of a normal of variance 1/100."""
    hidden, log_volume = out
    dimensions = hidden.shape[1]
    nats = 0.5 * (hidden**2).sum(1) + 0.5 * dimensions * math.log(2 * math.pi) - log_volume
    return nats.mean() / dimensions - _SHARP


_SHARP = 0.5 * math.log(2 * math.pi * math.e / 100)
FLOW = Objective(_plain(_unlikelihood), lambda data: 0.5 * math.log(2 * math.pi * math.e) - _SHARP)


def _both(out: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
    classes, numbers = out
    return F.cross_entropy(classes, targets[:, 0].long()) + F.mse_loss(numbers[:, 0], targets[:, 1])


def _both_chance(data: Data) -> float:
    classes = Data(data.inputs, data.targets[:, 0].long())
    return _entropy(classes) + _variance(Data(data.inputs, data.targets[:, 1:]))


TASKS = Objective(_plain(_both), _both_chance)


def _balanced(out: tuple[Tensor, Tensor], classes: Tensor) -> Tensor:
    """Of a mixture of experts: the classes, and a hundredth of how uneven the gates are."""
    logits, gates = out
    return F.cross_entropy(logits, classes) + 0.01 * len(gates[0]) * (gates.mean(0) ** 2).sum()


EXPERTS = Objective(_plain(_balanced), lambda data: _entropy(data) + 0.01)


def _heat(model: nn.Module, inputs: tuple[Tensor, ...], targets: Tensor) -> tuple[Tensor, Tensor]:
    """Poisson's equation on the unit square, -u_xx - u_yy = 2 pi^2 sin(pi x) sin(pi y).

    u is zero around it by the ansatz u = x (1 - x) y (1 - y) model; the loss is a share of the
    right side's mean square.
    """
    places = inputs[0].detach().requires_grad_()
    around = (places * (1 - places)).prod(1, keepdim=True)
    u = around * model(places)
    (slope,) = torch.autograd.grad(u.sum(), places, create_graph=True)
    curved = sum(
        torch.autograd.grad(slope[:, axis].sum(), places, create_graph=True)[0][:, axis]
        for axis in range(2)
    )
    source = 2 * math.pi**2 * torch.sin(math.pi * places).prod(1)
    loss = ((curved + source) ** 2).mean() / (math.pi**4)
    return loss, loss


# The mean square of the right side is pi^4; u = 0 leaves all of it.
EQUATION = Objective(_heat, lambda data: 1.0)
_MOVES = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
_TURNS = 6


def _walk(model: nn.Module, inputs: tuple[Tensor, ...], targets: Tensor) -> tuple[Tensor, Tensor]:
    """Advantage actor-critic on a board of 5 x 5: a move a turn, a point for each turn at the goal.

    The figure is the share of turns that did not end at the goal.
    """
    state = inputs[0]
    chosen, values, rewards = [], [], []
    for _ in range(_TURNS):
        logits, value = model(state)
        policy = torch.distributions.Categorical(logits=logits)
        action = policy.sample()
        chosen.append(policy.log_prob(action) + 0.01 * policy.entropy())
        values.append(value[:, 0])
        place = (state[:, :2] + _MOVES[action]).clamp(0, 4)
        state = torch.cat([place, state[:, 2:]], 1)
        rewards.append((place == state[:, 2:]).all(1).float())
    reward = torch.stack(rewards)
    returns = reward.flip(0).cumsum(0).flip(0)
    value, log = torch.stack(values), torch.stack(chosen)
    gain = returns - value.detach()
    loss = -(log * gain).mean() + 0.5 * F.mse_loss(value, returns)
    return loss, 1 - reward.mean()


def _aimless(data: Data) -> float:
    """The figure of moves by chance, from all starts."""
    state, generator, hits = data.inputs[0], torch.Generator().manual_seed(0), []
    place, goal = state[:, :2], state[:, 2:]
    for _ in range(_TURNS):
        action = torch.randint(4, (len(state),), generator=generator)
        place = (place + _MOVES[action]).clamp(0, 4)
        hits.append((place == goal).all(1).float().mean())
    return 1 - float(torch.stack(hits).mean())


ACTOR_CRITIC = Objective(_walk, _aimless)
