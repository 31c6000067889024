"""empty_weights and initialize beside a fill of as much fresh memory, and the constructor alone.

    pip install transformers timm torchvision
    python -m bench.speed.empty_weights [--rounds 5] [--models NAME ...]

The fill is torch.full of as many bytes at once: the machine maps fresh memory and writes a constant
to it, and no constructor can do with less. Contenders take turns in one process for each model, in
which every tensor is mapped anew, and each ends with its memory given back; figures are medians.
Where other programs have the CPUs, --cpu counts what all threads use of them instead: then
contenders of two threads and of one count alike. Memory is the peak of resident memory over what
it was before the build.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.speed.timing import alternate


def _llama() -> Callable[[], Any]:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=32000,
        hidden_size=1280,
        intermediate_size=3456,
        num_hidden_layers=22,
        num_attention_heads=20,
        num_key_value_heads=20,
    )
    return lambda: LlamaForCausalLM(config)


def _of_timm(name: str) -> Callable[[], Any]:
    import timm

    return lambda: timm.create_model(name)


MODELS: dict[str, Callable[[], Callable[[], Any]]] = {
    "llama": _llama,
    "vit_large": lambda: _of_timm("vit_large_patch16_224"),
    "convnext_large": lambda: _of_timm("convnext_large"),
}


def _peak() -> float:
    with open("/proc/self/status") as file:
        (line,) = (line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def measure(name: str, rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds of every contender, the values of the model, and MiB beyond them."""
    import torch

    import bench.zoo.torchvision_ops  # noqa: F401
    import fanin

    make = MODELS[name]()

    def build() -> Any:
        with fanin.empty_weights():
            return make()

    parameters = [(one.numel(), one.element_size()) for one in build().parameters()]
    size = sum(count * each for count, each in parameters)
    contenders: dict[str, Callable[[], object]] = {
        "fill": lambda: torch.full((size // 4,), 0.5),
        "build": build,
        "plan": lambda: fanin.plan(build(), unplaced="keep"),
        "all": lambda: fanin.initialize(build(), unplaced="keep"),
        "constructor": make,
    }
    seconds = alternate(contenders, rounds, name, clock)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts anew
    before = _peak()
    contenders["all"]()
    beyond = _peak() - before - size / 2**20
    return seconds | {"values": sum(count for count, _ in parameters), "beyond": beyond}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="of each, and one more (default 5)")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS])
    parser.add_argument("--cpu", action="store_true", help="seconds of all CPUs, not of the clock")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        clock = time.process_time if arguments.cpu else time.perf_counter
        print(json.dumps(measure(arguments.models[0], arguments.rounds, clock)))
        return
    headers = "model", "values, M", "fill, s", "build", "and plan", "and draw", "to the fill"
    table = Table(*headers, "own, s", "times as fast", "peak - model, MiB")
    for name in arguments.models:
        words = ["--alone", "--models", name, "--rounds", str(arguments.rounds)]
        words += ["--cpu"] if arguments.cpu else []
        # Without this, malloc hands out what the contender before gave back.
        mapped = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(1 << 17)}
        command = [sys.executable, "-m", "bench.speed.empty_weights", *words]
        done = subprocess.run(command, env=mapped, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        table.add_row(
            name,
            f"{found['values'] / 1e6:.0f}",
            *(f"{found[key]:.2f}" for key in ("fill", "build", "plan", "all")),
            f"{found['all'] / found['fill']:.2f}",
            f"{found['constructor']:.2f}",
            f"{found['constructor'] / found['all']:.1f}",
            f"{found['beyond']:.0f}",
        )
    console = Console(width=120)
    console.print(table)
    console.print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")


if __name__ == "__main__":
    main()
