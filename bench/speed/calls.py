"""What a call costs before the first value: small tensors, and the import.

    python -m bench.speed.calls [--rounds 7]

10,000 parameters of 64 values each, one call a parameter, all of them by `plan.apply` of a torch
model and `fanin.plan` of it, and one call for 10,000 values, beside NumPy's Generator.normal, in
CPU time; `import fanin` beside `import numpy`, in fresh processes.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

import fanin
from bench.speed.timing import alternate
from fanin import Stream, initializers

if TYPE_CHECKING:
    from torch import nn

PARAMETERS, SMALL, LARGE = 10_000, 64, 10_000


def calls(rounds: int) -> dict[str, float]:
    """Median microseconds of CPU time a call."""
    names = [f"layers.{number}.weight" for number in range(PARAMETERS)]
    streams = [Stream(0, name) for name in names]
    generator = np.random.default_rng(0)
    he = initializers.he_normal()
    model = _model()
    plan = fanin.plan(model, initializer="he_normal")
    small = {
        "64 values: NumPy Generator.normal": lambda: [
            generator.normal(0.0, 1.0, SMALL) for _ in names
        ],
        "64 values: Stream.normal": lambda: [stream.normal(SMALL) for stream in streams],
        "64 values: Stream(seed, name).normal": lambda: [
            Stream(0, name).normal(SMALL) for name in names
        ],
        "64 values: he_normal()((8, 8), ...)": lambda: [he((8, 8), seed=0, name=n) for n in names],
        "64 values: plan.apply": lambda: plan.apply(model, 0),
        "64 values: fanin.plan": lambda: fanin.plan(model, initializer="he_normal"),
    }
    large = {
        "10,000 values: NumPy Generator.normal": lambda: [
            generator.normal(0.0, 1.0, LARGE) for _ in range(100)
        ],
        "10,000 values: Stream.normal": lambda: [streams[0].normal(LARGE) for _ in range(100)],
    }
    clock = time.process_time
    seconds = alternate(small, rounds, "small", clock), alternate(large, rounds, "large", clock)
    return {key: value / PARAMETERS * 1e6 for key, value in seconds[0].items()} | {
        key: value / 100 * 1e6 for key, value in seconds[1].items()
    }


def _model() -> "nn.Module":
    """A model with these parameters."""
    from torch import nn

    return nn.Sequential(*(nn.Linear(8, 8, bias=False) for _ in range(PARAMETERS)))


def imports(rounds: int) -> dict[str, float]:
    """Median seconds of a fresh process that imports and ends."""

    # With compiled modules kept, as an installation has them.
    environment = {key: os.environ[key] for key in os.environ if key != "PYTHONDONTWRITEBYTECODE"}

    def process(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True, env=environment)

    return alternate(
        {
            "import numpy": process("import numpy"),
            "import fanin": process("import fanin"),
            "nothing": process("pass"),
        },
        3 * rounds,
        "imports",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="times each is run (default 7)")
    rounds = parser.parse_args().rounds
    table = Table("call", "microseconds", title=f"median of {rounds} rounds")
    for name, value in calls(rounds).items():
        table.add_row(name, f"{value:.2f}")
    seconds = imports(rounds)
    numpy, ours, nothing = (seconds[key] for key in ("import numpy", "import fanin", "nothing"))
    Console().print(table)
    Console().print(
        f"a process that imports numpy: {numpy * 1e3:.0f} ms; fanin: {ours * 1e3:.0f} ms, "
        f"{ours / numpy:.2f} times; less the bare interpreter's {nothing * 1e3:.0f} ms: "
        f"{(ours - nothing) / (numpy - nothing):.2f} times"
    )


if __name__ == "__main__":
    main()
