"""Stacks of recurrent layers: torch's own weights, 1 / fan_in above the first, or compensated.

    python -m bench.training.recurrent

The table of docs/recipes.md: training loss (mean of steps 131 to 150) on the digits' rows, each
held for four steps, at three learning rates. "Compensated" divides by the small second moment of
the state that the layers above the first read.
"""

import torch
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import fanin
from fanin.recipes._parameters import _STATE

RATES, SEEDS, STEPS, WIDTH = (3e-4, 1e-3, 3e-3), range(3), 150, 64


class Classifier(nn.Module):
    def __init__(self, layer: type[nn.RNN | nn.LSTM | nn.GRU]) -> None:
        super().__init__()
        self.layers = layer(8, WIDTH, num_layers=3, batch_first=True)
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(x)[0][:, -1])


def initialize(model: nn.Module, how: str, kind: str, seed: int, example: Tensor) -> None:
    if how == "compensated":
        scale = 1 / _STATE[kind]
        above = fanin.initializers.variance_scaling(scale, "fan_in", "normal")
        fanin.initialize(model, seed, example, overrides={"layers.weight_ih_l[12]": above})
    elif how == "auto":
        fanin.initialize(model, seed, example)


def loss_of(layer: type[nn.RNN | nn.LSTM | nn.GRU], how: str, rate: float, seed: int) -> float:
    digits = load_digits()
    rows = torch.from_numpy(digits.data.reshape(-1, 8, 8)).float().repeat_interleave(4, 1)
    inputs, labels = (rows - rows.mean()) / rows.std(), torch.from_numpy(digits.target)
    torch.manual_seed(seed)
    model = Classifier(layer)
    initialize(model, how, layer.__name__.lower(), seed, inputs[:4])
    optimizer, order = torch.optim.AdamW(model.parameters(), rate), torch.Generator()
    order.manual_seed(seed)
    losses = []
    for _ in range(STEPS):
        batch = torch.randint(len(inputs), (32,), generator=order)
        loss = F.cross_entropy(model(inputs[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses[-20:]) / 20


def main() -> None:
    torch.set_num_threads(1)
    table = Table("layers", "weights", *(f"loss at {rate:g}" for rate in RATES))
    for layer in (nn.LSTM, nn.GRU, nn.RNN):
        for how in ("torch's own", "compensated", "auto"):
            means = [
                sum(loss_of(layer, how, rate, seed) for seed in SEEDS) / len(SEEDS)
                for rate in RATES
            ]
            table.add_row(layer.__name__, how, *(f"{mean:.3f}" for mean in means))
    Console().print(table)


if __name__ == "__main__":
    main()
