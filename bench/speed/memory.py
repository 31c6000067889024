"""Fresh memory: what the page faults of a new 440 MB array cost, and what huge pages bring.

    python -m bench.speed.memory [--rounds 5]

Each draw of 110 million float32 normals goes into a new array, in a fresh process with NumPy's
huge-page advice (madvise, its default on Linux) and in one without it.
"""

import argparse
import os
import statistics
import subprocess
import sys

from rich.console import Console
from rich.table import Table

VALUES = 110_000_000

CODE = f"""
import time
import numpy as np
import fanin
stream = fanin.Stream(0, "weight")
def seconds(out):
    start = time.perf_counter()
    stream.normal({VALUES}, out=out, threads=THREADS)
    return time.perf_counter() - start
out = np.empty({VALUES}, np.float32)
print(seconds(out), seconds(out))
"""


def measure(threads: int, advice: bool, rounds: int) -> tuple[float, float]:
    """Median nanoseconds a value into fresh and into mapped memory."""
    environment = os.environ | {"NUMPY_MADVISE_HUGEPAGE": str(int(advice))}
    runs = [
        subprocess.run(
            [sys.executable, "-c", CODE.replace("THREADS", str(threads))],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        for _ in range(rounds)
    ]
    fresh, mapped = (statistics.median(map(float, column)) for column in zip(*runs, strict=True))
    return fresh / VALUES * 1e9, mapped / VALUES * 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="times each is run (default 5)")
    rounds = parser.parse_args().rounds
    table = Table("threads", "huge pages", "fresh, ns a value", "mapped, ns a value")
    for threads in (1, 2):
        for advice in (True, False):
            fresh, mapped = measure(threads, advice, rounds)
            table.add_row(str(threads), "yes" if advice else "no", f"{fresh:.2f}", f"{mapped:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
