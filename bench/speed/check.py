"""fanin.check against a plain forward and backward run of the same model: time and memory.

    python -m bench.speed.check resnet18 --batch 8
    python -m bench.speed.check vit_large_patch16_224 --batch 2 --runs 1

Both run in turns, after one of each that is not counted; the medians are printed. Memory is the
peak of a process of its own for each. Models are timm's by name, or of bench/zoo/models.py
("transformers/gpt2"); "mlp" is one of 8 layers of width 512. Two threads of torch by default.
"""

import argparse
import gc
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import bench.zoo.torchvision_ops  # noqa: F401 - before timm
from bench.zoo import models as zoo_models
from fanin.checks import check
from fanin.frameworks.torch import project


def build(name: str, batch: int) -> tuple[nn.Module, Any]:
    """The model with its own initialization, and a batch."""
    torch.manual_seed(0)
    if name == "mlp":
        layers = [one for _ in range(8) for one in (nn.Linear(512, 512), nn.ReLU())]
        return nn.Sequential(*layers), torch.randn(batch, 512)
    if name.startswith("transformers/"):
        factory, inputs = zoo_models.build(name)
        return factory(), inputs
    import timm

    size = zoo_models.TIMM.get(name, 224)
    return timm.create_model(name), torch.randn(batch, 3, size, size)


def plain(model: nn.Module, inputs: Any) -> None:
    """One forward and backward run, for the loss that a checkup has without targets."""
    output = model(**inputs) if isinstance(inputs, dict) else model(inputs)
    project(output).backward()
    model.zero_grad()


def timed(run: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def times(name: str, batch: int, runs: int) -> tuple[list[float], list[float]]:
    model, inputs = build(name, batch)
    both: tuple[list[float], list[float]] = [], []
    for turn in range(runs + 1):
        for found, run in zip(both, (plain, check), strict=True):
            seconds = timed(lambda run=run: run(model, inputs))
            if turn:
                found.append(seconds)
    return both


def peak(name: str, batch: int, what: str) -> int:
    """Megabytes of a process that builds the model and runs once; "build" runs nothing."""
    model, inputs = build(name, batch)
    if what != "build":
        {"plain": plain, "check": check}[what](model, inputs)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peak", choices=("build", "plain", "check"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.peak:
        print(peak(given.model, given.batch, given.peak))
        return
    memory = {
        what: int(subprocess.run([sys.executable, *sys.argv, "--peak", what],
                                 check=True, capture_output=True, text=True).stdout.split()[-1])
        for what in ("build", "plain", "check")
    }  # fmt: skip
    without, with_checks = times(given.model, given.batch, given.runs)
    medians = statistics.median(without), statistics.median(with_checks)
    row = {
        "model": given.model,
        "batch": given.batch,
        "threads": given.threads,
        "plain_s": round(medians[0], 3),
        "check_s": round(medians[1], 3),
        "more_time": f"{medians[1] / medians[0] - 1:+.0%}",
        **{f"peak_{what}_mb": size for what, size in memory.items()},
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
