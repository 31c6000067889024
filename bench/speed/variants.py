"""fanin's draws beside each other: dtypes, ISA levels, means, threads and memory layouts.

    python -m bench.speed.variants [--rounds 7] [--cpu]

A 4096 x 8192 weight, in memory that is already mapped. Every line is a ratio to the float32
normal of the best back end on one thread, row-major.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.speed.timing import alternate
from fanin import Stream, initializers
from fanin.streams import backends, use_backend

SHAPE = (4096, 8192)
VALUES = SHAPE[0] * SHAPE[1]
BITS = {"float32": np.float32, "float64": np.float64, "bfloat16": np.uint16, "float16": np.uint16}

stream = Stream(0, "weight")
Draw = Callable[[], object]


def draw(
    kind: str, dtype: str, level: str = backends()[0], threads: int = 1, **parameters: float
) -> Draw:
    out = np.ones(SHAPE, BITS[dtype])

    def run() -> None:
        with use_backend(level):
            getattr(stream, kind)(SHAPE, **parameters, dtype=dtype, out=out, threads=threads)

    return run


def layout(shape: tuple[int, ...], axes: str) -> Draw:
    """The same number of values as a weight of another layout; axes in its stored order."""
    he, out = initializers.he_normal(), np.ones(shape, np.float32)
    return lambda: he(shape, seed=0, name="weight", axes=axes, out=out, threads=1)


def contenders() -> dict[str, Draw]:
    found = {"normal float32": draw("normal", "float32")}
    for kind in ("uniform", "truncated_normal"):
        found[f"{kind} float32"] = draw(kind, "float32")
    for dtype in ("bfloat16", "float16", "float64"):
        found[f"normal {dtype}"] = draw("normal", dtype)
    found["normal float32, two threads"] = draw("normal", "float32", threads=2)
    for level in backends()[:-1]:
        for kind in ("normal", "truncated_normal"):
            if level != backends()[0]:
                found[f"{kind} float32, {level}"] = draw(kind, "float32", level)
            shifted = draw(kind, "float32", level, mean=0.3, std=0.05)
            found[f"{kind}(0.3, 0.05), {level}"] = shifted
    found["dense kernel (in, out)"] = layout(SHAPE[::-1], "in out")
    found["convolution kernel (3, 3, 1024, 3641)"] = layout((3, 3, 1024, 3641), "hwio")
    found["convolution kernel (1, 1, 4096, 8192)"] = layout((1, 1, *SHAPE), "hwio")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="times each is run (default 7)")
    parser.add_argument(
        "--cpu", action="store_true", help="CPU time of the first thread: for a busy machine"
    )
    arguments = parser.parse_args()
    rounds, clock = arguments.rounds, time.thread_time if arguments.cpu else time.perf_counter
    seconds = alternate(contenders(), rounds, "variants", clock)
    base = seconds["normal float32"]
    table = Table("draw", "ns a value", "/ normal float32", title=f"median of {rounds} rounds")
    for name, value in seconds.items():
        table.add_row(name, f"{value / VALUES * 1e9:.2f}", f"{value / base:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
