"""How fast trials train: stacked, one after another with plain torch, and in loops over NumPy.

    python -m bench.speed.lab [--rounds N] [--whole]

8 initializers x 8 seeds of the network of Enrichment Cap (2023), one image a step, on MNIST. All
three take the same steps from the same weights, which is checked first. Seconds are per step and
per trial.
Targets: stacked at least 6 times as fast as plain torch, and 200 times as the loops.
"""

import argparse
import os
import time
from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from bench.speed.lab_loops import LoopTrainer
from bench.speed.timing import alternate
from fanin.lab.settings import INITIALIZERS, CompareSettings
from fanin.lab.setup import TrialSpec
from fanin.lab.training import lookup
from fanin.lab.training.group import schedule
from fanin.lab.training.optimization import Optimization
from fanin.lab.training.runner import GroupJob, run_on_cores
from fanin.lab.training.stack import Stack, one_thread

LR = 0.001
STEPS = {"stacked": 10, "torch": 100, "loops": 1}  # in a round
SETUP = CompareSettings().setup
SPECS = [TrialSpec(SETUP, name, seed, LR) for name in INITIALIZERS[:8] for seed in range(8)]


class Plain:
    """The ordinary loop: one model, torch's own Adam."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.adam = torch.optim.Adam(model.parameters(), lr=LR, betas=(0.9, 0.999), eps=1e-7)

    def step(self, image: Tensor, label: Tensor) -> float:
        self.adam.zero_grad()
        loss = nn.functional.cross_entropy(self.model(image), label)
        loss.backward()
        self.adam.step()
        return loss.item()


def batches() -> tuple[Tensor, Tensor]:
    """Images (steps, models, 1, 1, 28, 28) and labels (steps, models, 1), as the lab has them."""
    orders = np.stack([lookup.split_of(SETUP, spec.seed).order[0] for spec in SPECS], axis=1)
    images, labels = lookup.inputs_and_targets(SETUP, orders[:, :, None])
    return images, labels


def check(images: Tensor, labels: Tensor) -> float:
    """The largest difference of a loss between the three, over two steps of three trials."""
    stack = Stack(lookup.initialize(SPECS), [LR] * len(SPECS), Optimization.of(SETUP), "cpu")
    stacked = torch.stack([stack.step(images[step], labels[step]) for step in range(2)])
    worst = 0.0
    for index in (0, 20, len(SPECS) - 1):
        (model,) = lookup.initialize([SPECS[index]])
        weights = {name: value.detach().numpy() for name, value in model.named_parameters()}
        loops, plain = LoopTrainer(weights, LR), Plain(model)
        for step in range(2):
            image, label = images[step, index], labels[step, index]
            expected = float(stacked[step, index])
            for loss in (loops.step(image[0].numpy(), int(label)), plain.step(image, label)):
                worst = max(worst, abs(loss - expected) / abs(expected))
    return worst


def contenders(images: Tensor, labels: Tensor) -> dict[str, Callable[[], object]]:
    """A round of each, from the same weights; plain torch with one thread and with its own."""
    stack = Stack(lookup.initialize(SPECS), [LR] * len(SPECS), Optimization.of(SETUP), "cpu")
    (first, second) = lookup.initialize(SPECS[:2])
    plain = Plain(first)
    loops = LoopTrainer({n: v.detach().numpy() for n, v in second.named_parameters()}, LR)
    threads = torch.get_num_threads()

    def torch_with(count: int) -> None:
        torch.set_num_threads(count)
        for step in range(STEPS["torch"]):
            plain.step(images[step, 0], labels[step, 0])
        torch.set_num_threads(threads)

    def stacked() -> None:
        torch.set_num_threads(1)
        for step in range(STEPS["stacked"]):
            stack.step(images[step], labels[step])
        torch.set_num_threads(threads)

    return {
        "stacked": stacked,
        "torch, 1 thread": lambda: torch_with(1),
        f"torch, {threads} threads": lambda: torch_with(threads),
        "loops": lambda: loops.step(images[0, 1, 0].numpy(), int(labels[0, 1])),
    }


def whole() -> float:
    """Seconds of all trials in as many processes as `fanin compare` takes."""
    run = run_on_cores(len(os.sched_getaffinity(0)))
    start = time.perf_counter()
    with one_thread():
        done = [
            trial
            for _, trials in run([*map(GroupJob, schedule(SPECS).groups)], lambda steps: None)
            for trial in trials
        ]
    assert len(done) == len(SPECS)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--whole", action="store_true", help="train all trials, too: minutes")
    arguments = parser.parse_args()
    rounds = arguments.rounds
    images, labels = batches()
    console = Console()
    console.print(f"largest relative difference of a loss: {check(images, labels):.1e}")
    start = time.perf_counter()
    seconds = alternate(contenders(images, labels), rounds, "lab")
    per_step = {
        name: value / (STEPS["stacked"] * len(SPECS) if name == "stacked" else STEPS[name[:5]])
        for name, value in seconds.items()
    }
    table = Table("trials", "ms a step and trial", "stacked is faster by")
    for name, value in per_step.items():
        table.add_row(name, f"{1e3 * value:.3f}", f"{value / per_step['stacked']:.1f}")
    console.print(table)
    console.print(f"{rounds} rounds, medians; {time.perf_counter() - start:.0f} s")
    if arguments.whole:
        cpus, took = len(os.sched_getaffinity(0)), whole()
        plain = min(value for name, value in per_step.items() if name.startswith("torch"))
        ratio = plain * len(SPECS) * SETUP.steps / took
        console.print(
            f"all {len(SPECS)} trials of {SETUP.steps} steps as fanin compare trains them, with "
            f"tests and the start of {cpus} processes: {took:.0f} s, {ratio:.1f} times as fast as "
            "plain torch's steps alone"
        )


if __name__ == "__main__":
    main()
