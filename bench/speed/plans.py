"""What a plan costs beside the model's own forward pass, on the meta device and a real one.

    python -m bench.speed.plans [--rounds 5] [MODEL ...]

Models are timm's by name, "torchvision/NAME" or "transformers/NAME" (built empty, from the
configuration in CONFIGURATIONS). All are in train mode, as a plan runs them, with gradients on; CPU
time of the process, one thread, medians of rounds in which all take turns, after one round
that is not counted.
"""

import argparse
import copy
import time
from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import bench.zoo.torchvision_ops  # noqa: F401 - before timm
import fanin
from bench.speed.timing import alternate

MODELS = (
    *("densenet121", "cait_xxs24_224", "dm_nfnet_f0", "levit_128s", "levit_256"),
    *("ghostnetv3_050", "mvitv2_small", "torchvision/mvit_v2_s"),
)
_LLAMA_70B: dict[str, Any] = {
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
}
CONFIGURATIONS = {"transformers/llama-70b": ("llama", _LLAMA_70B)}


def build(name: str) -> tuple[nn.Module, Any]:
    """The model in train mode, and inputs: two images, a video of 16 frames, or 8 tokens."""
    if name in CONFIGURATIONS:
        import transformers

        kind, settings = CONFIGURATIONS[name]
        configuration = transformers.AutoConfig.for_model(kind, **settings)
        with fanin.empty_weights():
            model = transformers.AutoModelForCausalLM.from_config(configuration)
        return model.train(), torch.zeros(1, 8, dtype=torch.int64)
    if name.startswith("torchvision/"):
        import torchvision

        model = torchvision.models.get_model(name.removeprefix("torchvision/"))
        return model.train(), torch.zeros(1, 3, 16, 224, 224)
    import timm

    made: nn.Module = timm.create_model(name)
    size = made.pretrained_cfg["input_size"]  # type: ignore[index]
    return made.train(), torch.zeros(2, *size)


def measure(name: str, rounds: int) -> dict[str, float]:
    """Median seconds of each; no real run where the weights have no memory to be."""
    model, inputs = build(name)
    shadow = copy.deepcopy(model).to("meta")
    abstract = inputs.to("meta")
    plan = fanin.plan(model, inputs)
    ways: dict[str, Callable[[], object]] = {
        "plan": lambda: fanin.plan(model, inputs),
        "meta": lambda: shadow(abstract),
    }
    if name not in CONFIGURATIONS:
        ways["apply"] = lambda: plan.apply(model, 0)
        ways["real"] = lambda: model(inputs)
    return alternate(ways, rounds, name, time.process_time)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", default=[*MODELS, *CONFIGURATIONS])
    parser.add_argument("--rounds", type=int, default=5, help="times each is run (default 5)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    title = f"seconds of CPU time, medians of {given.rounds} rounds"
    table = Table("model", "plan", "meta", "plan / meta", "apply", "real", title=title)
    for name in given.models:
        found = measure(name, given.rounds)
        cells = [f"{found[what]:.3f}" if what in found else "" for what in ("apply", "real")]
        ratio = f"{found['plan'] / found['meta']:.2f}"
        table.add_row(name, f"{found['plan']:.3f}", f"{found['meta']:.3f}", ratio, *cells)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
