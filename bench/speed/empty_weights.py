"""empty_weights and initialize beside a model's own constructor: time and peak memory.

    pip install transformers timm torchvision
    python -m bench.speed.empty_weights [--rounds 3] [--models NAME ...]

Each figure is the median of runs in fresh processes with the same number of threads. Memory is the
peak of resident memory over what it was before the build.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

from rich.console import Console
from rich.table import Table

MODELS = {
    "llama, 518 M": """
from transformers import LlamaConfig, LlamaForCausalLM
config = LlamaConfig(vocab_size=32000, hidden_size=1280, intermediate_size=3456,
                     num_hidden_layers=22, num_attention_heads=20, num_key_value_heads=20)
make = lambda: LlamaForCausalLM(config)
""",
    "vit_large": "import timm; make = lambda: timm.create_model('vit_large_patch16_224')",
    "convnext_large": "import timm; make = lambda: timm.create_model('convnext_large')",
}

RUN = """
import json, sys, time
import torch, fanin
from fanin.frameworks.torch import empty_weights

MAKE

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(one for one in lines if one.startswith("VmHWM")).split()[1]) / 1024

with empty_weights():
    warm = torch.nn.Linear(2, 2)
fanin.initialize(warm, initializer="he_normal")
before, start = peak(), time.perf_counter()
if sys.argv[1] == "constructor":
    model = make()
    built = time.perf_counter()
else:
    with empty_weights():
        model = make()
    built = time.perf_counter()
    fanin.initialize(model, unplaced="keep")
done = time.perf_counter()
sizes = [(one.numel(), one.element_size()) for one in model.parameters()]
print(json.dumps({
    "values": sum(n for n, _ in sizes), "model": sum(n * size for n, size in sizes) / 2**20,
    "build": built - start, "all": done - start, "peak": peak() - before,
}))
"""


def measure(make: str, how: str) -> dict[str, float]:
    code = RUN.replace("MAKE", make)
    done = subprocess.run(
        [sys.executable, "-c", code, how], check=True, capture_output=True, text=True
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default 3)")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    arguments = parser.parse_args()
    table = Table(
        "model", "how", "build, s", "in all, s", "ns a value", "times as fast", "peak - model, MiB"
    )
    for name in arguments.models:
        own = None
        for how in ("constructor", "empty"):
            runs = [measure(MODELS[name], how) for _ in range(arguments.rounds)]
            median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            own = own or median["all"]
            table.add_row(
                name,
                how,
                f"{median['build']:.2f}",
                f"{median['all']:.2f}",
                f"{median['all'] / median['values'] * 1e9:.2f}",
                f"{own / median['all']:.1f}",
                f"{median['peak'] - median['model']:.0f}",
            )
    console = Console()
    console.print(table)
    console.print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")


if __name__ == "__main__":
    main()
