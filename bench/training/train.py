"""Train seven small models from four initializations each: which one starts best?

    python -m bench.training.train [--out FILE] [--models NAME ...] [--recipes NAME ...]

Needs timm, transformers and anyinit beside fanin (pip install --no-deps timm torchvision anyinit;
pip install transformers). AdamW, batches of 32, learning rates 3e-4, 1e-3 and 3e-3, four
seeds; a seed fixes the weights and the order of the data, so that recipes are paired. The figure
is the training loss, mean of the last 20 steps before step 150 and step 500, at the
recipe's best learning rate. Finished runs are kept in FILE (JSON lines); the same command goes on.
"""

import argparse
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

import fanin
from bench.training.models import DATA, MODELS, Batch

RATES = (3e-4, 1e-3, 3e-3)
SEEDS = range(4)
CHECKPOINTS = (150, 500)
BATCH = 32


def auto(model: nn.Module, seed: int, example: torch.Tensor) -> None:
    fanin.initialize(model, seed, inputs=example)


def own(model: nn.Module, seed: int, example: torch.Tensor) -> None:
    """The model's constructor has drawn them."""


def xavier(model: nn.Module, seed: int, example: torch.Tensor) -> None:
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)


def anyinit(model: nn.Module, seed: int, example: torch.Tensor) -> None:
    import anyinit as peer

    peer.initialize(model, mode="analytic", input_spec=example, seed=seed)


RECIPES: dict[str, Callable[[nn.Module, int, torch.Tensor], None]] = {
    "auto": auto,
    "own": own,
    "anyinit": anyinit,
    "xavier": xavier,
}


def train(model: nn.Module, data: Batch, rate: float, seed: int) -> list[float]:
    inputs, targets = data
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), rate)
    losses = []
    model.train()
    for _ in range(max(CHECKPOINTS)):
        rows = torch.randint(len(inputs), (BATCH,), generator=order)
        loss = F.cross_entropy(model(inputs[rows]), targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            break
    return [
        sum(losses[step - 20 : step]) / 20 if len(losses) >= step else math.inf
        for step in CHECKPOINTS
    ]


def run(name: str, recipe: str, rate: float, seed: int, data: Batch) -> dict[str, Any]:
    torch.manual_seed(seed)
    model = MODELS[name][0]()
    done = {"model": name, "recipe": recipe, "rate": rate, "seed": seed}
    try:
        RECIPES[recipe](model, seed, data[0][:BATCH])
    except Exception as error:  # of a peer that does not know the model: a result, too
        first = str(error).splitlines()[0]
        return done | {"losses": [math.inf, math.inf], "raised": f"{type(error).__name__}: {first}"}
    return done | {"losses": train(model, data, rate, seed)}


def key(one: dict[str, Any]) -> tuple[Any, ...]:
    return one["model"], one["recipe"], one["rate"], one["seed"]


def report(done: list[dict[str, Any]]) -> None:
    """Mean loss over seeds at the best rate, and the paired difference from the best recipe."""
    for checkpoint, step in enumerate(CHECKPOINTS):
        print(f"\ntraining loss after {step} steps (best rate; +- is the deviation over seeds)")
        for name in dict.fromkeys(one["model"] for one in done):
            cells = []
            for recipe in dict.fromkeys(one["recipe"] for one in done):
                by_rate = {
                    rate: [
                        one["losses"][checkpoint]
                        for one in done
                        if key(one)[:3] == (name, recipe, rate)
                    ]
                    for rate in RATES
                }
                means = {rate: sum(x) / len(x) for rate, x in by_rate.items() if x}
                if means:
                    best = min(means, key=means.__getitem__)
                    values = by_rate[best]
                    spread = (
                        sum((value - means[best]) ** 2 for value in values)
                        / max(len(values) - 1, 1)
                    ) ** 0.5
                    cells.append(f"{recipe} {means[best]:.3f}+-{spread:.3f} (lr {best:g})")
            print(f"{name:16} " + "   ".join(cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("trials.jsonl"))
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    out: Path = arguments.out
    done = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    finished = {key(one) for one in done}
    for name in arguments.models:
        data = DATA[MODELS[name][1]]()
        for recipe, rate, seed in itertools.product(arguments.recipes, RATES, SEEDS):
            if (name, recipe, rate, seed) in finished:
                continue
            one = run(name, recipe, rate, seed, data)
            done.append(one)
            with out.open("a") as file:
                file.write(json.dumps(one) + "\n")
            print(name, recipe, rate, seed, *(f"{loss:.3f}" for loss in one["losses"]), flush=True)
    report(done)


if __name__ == "__main__":
    main()
