"""orthogonal() beside torch.nn.init.orthogonal_: time, and how orthonormal the result is.

    python -m bench.speed.orthogonal [--rounds 5] [--sizes 256 512 ...]

float32 matrices in memory that is already mapped, with one thread and with all of this
process's CPUs. The two take turns, round by round, after a pause in which the other's threads
stop waiting for work; the medians are printed. The error is that of Q^T Q - I in float64 (of
Q Q^T - I for wide matrices): the largest element, and the Frobenius norm.
"""

import argparse
import time
from collections.abc import Callable, Hashable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from bench.speed.timing import alternate
from fanin import initializers
from fanin.streams import Array

PAUSE = 0.3  # seconds; MKL's and OpenBLAS's threads spin for up to 0.2 after a call
SIZES = (256, 512, 1024, 2048, 4096)
TALL_AND_WIDE = ((4096, 1024), (1024, 4096))

Shape = tuple[int, int]


def error(matrix: Array) -> tuple[float, float]:
    wide = matrix.astype(np.float64)
    gram = wide @ wide.T if wide.shape[0] <= wide.shape[1] else wide.T @ wide
    gram -= np.eye(len(gram))
    return float(np.abs(gram).max()), float(np.linalg.norm(gram))


def measure(shape: Shape, rounds: int, threads: int) -> dict[Hashable, float]:
    """Median seconds of both."""
    array, tensor = np.zeros(shape, np.float32), torch.zeros(shape)
    made = initializers.get("orthogonal")
    contenders: dict[Hashable, Callable[[], object]] = {
        "a pause": lambda: time.sleep(PAUSE),
        "fanin": lambda: made(shape, seed=0, name="weight", out=array, threads=threads),
        "another": lambda: time.sleep(PAUSE),
        "torch": lambda: torch.nn.init.orthogonal_(tensor),
    }
    label = f"{shape[0]} x {shape[1]}, {threads} thread(s)"
    return alternate(contenders, rounds, label)


def errors(shape: Shape) -> dict[str, tuple[float, float]]:
    ours = initializers.get("orthogonal")(shape, seed=0, name="weight")
    theirs = torch.nn.init.orthogonal_(torch.empty(shape)).numpy()
    return {"fanin": error(ours), "torch": error(theirs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="times each is run (default 5)")
    parser.add_argument("--sizes", type=int, nargs="+", help="square ones only, of these sizes")
    args = parser.parse_args()
    shapes = [(n, n) for n in args.sizes or SIZES] + ([] if args.sizes else [*TALL_AND_WIDE])
    torch.manual_seed(0)
    counts = sorted({1, torch.get_num_threads()})

    table = Table(title=f"orthogonal, float32, median of {args.rounds} rounds")
    table.add_column("shape")
    for threads in counts:
        unit = f"{threads} thread{'s' * (threads > 1)}"
        for column in (f"fanin ms\n{unit}", f"torch ms\n{unit}", "torch\n/ fanin"):
            table.add_column(column, justify="right")
    for column in ("fanin's error\nmax, Frobenius", "torch's error\nmax, Frobenius"):
        table.add_column(column, justify="right")
    for shape in shapes:
        cells = []
        for threads in counts:
            torch.set_num_threads(threads)
            with threadpool_limits(threads, "blas"):
                seconds = measure(shape, args.rounds, threads)
            ours, theirs = seconds["fanin"], seconds["torch"]
            cells += [f"{ours * 1e3:.2f}", f"{theirs * 1e3:.2f}", f"{theirs / ours:.2f}"]
        cells += [f"{largest:.1e}, {norm:.1e}" for largest, norm in errors(shape).values()]
        table.add_row(f"{shape[0]} x {shape[1]}", *cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
