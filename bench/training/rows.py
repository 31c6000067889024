"""Long rows of layers without normalization, trained from `auto`: their variance held, or not.

    python -m bench.training.rows

Width 256, scikit-learn's digits, batches of 64, 200 steps of AdamW, two seeds; the mean loss of the
last 20 steps, at most ln 10, for three rates. Minutes on one core.
"""

import math

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import fanin
from fanin.recipes import _rows

ROWS = (("silu", nn.SiLU, 16), ("gelu", nn.GELU, 40), ("silu", nn.SiLU, 40), ("mish", nn.Mish, 40))
RATES, SEEDS, STEPS, WIDTH = (1e-4, 3e-4, 1e-3), (0, 1), 200, 256


def main() -> None:
    torch.set_num_threads(1)
    images, classes = load_digits(return_X_y=True)
    x = torch.tensor((images - images.mean(0)) / (images.std(0) + 1e-6), dtype=torch.float32)
    y = torch.tensor(classes)
    limit = _rows.RUNS_AWAY
    for name, activation, depth in ROWS:
        for held in (True, False):
            _rows.RUNS_AWAY = limit if held else math.inf
            losses = [
                np.mean(
                    [train(row(activation, depth, seed, x), rate, seed, x, y) for seed in SEEDS]
                )
                for rate in RATES
            ]
            told = "  ".join(
                f"{rate:g}: {loss:.3f}" for rate, loss in zip(RATES, losses, strict=True)
            )
            print(f"{name} {depth} {'held' if held else 'as it was'}  {told}", flush=True)
    _rows.RUNS_AWAY = limit


def row(activation: type[nn.Module], depth: int, seed: int, x: Tensor) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Linear(x.shape[1], WIDTH), activation()]
    for _ in range(depth - 1):
        layers += [nn.Linear(WIDTH, WIDTH), activation()]
    model = nn.Sequential(*layers, nn.Linear(WIDTH, 10))
    fanin.initialize(model, seed, x[:64])
    return model


def train(model: nn.Module, rate: float, seed: int, x: Tensor, y: Tensor) -> float:
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    losses = []
    for _ in range(STEPS):
        chosen = torch.randint(0, len(x), (64,), generator=generator)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[chosen]), y[chosen])
        if not loss.isfinite():
            return math.log(10)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return min(float(np.mean(losses[-20:])), math.log(10))


if __name__ == "__main__":
    main()
