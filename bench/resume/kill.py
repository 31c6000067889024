"""`fanin compare`, killed at random moments and started again: does the result stay the same?

    python -m bench.resume.kill [--times 20] [--seed 0]

Each round runs the same command in a new folder, sends SIGKILL after a random share of the time
that the whole run took (or when a first trial group is finished, in every second round), runs
it again to its end, and compares results.json, up to its object `run`, and results.csv byte by
byte.
"""

import argparse
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fanin.lab.training import checkpoint

ROWS = ("zeros", "he_normal", "glorot_uniform", "lecun_normal")
SIZES = ["--data", "digits", "--seeds", "3", "--train", "300", "--test", "100", "--epochs", "2"]
# Two stacks, so that trials finish at more than one moment, and states of them at many.
FANIN = """
import sys
from fanin.cli import main
from fanin.lab.training import checkpoint, stacking
stacking.MODELS_IN_A_STACK = 6
checkpoint.EVERY = 0.2
sys.exit(main(sys.argv[1:]))
"""


def command(folder: Path) -> list[str]:
    return [
        sys.executable,
        "-c",
        FANIN,
        "compare",
        *SIZES,
        "--initializers",
        *ROWS,
        "--out",
        folder,
    ]


def results(folder: Path) -> tuple[str, bytes]:
    head, mark, _ = (folder / "results.json").read_text().partition('\n "run": {')
    assert mark, "results.json has no object `run`"
    return head, (folder / "results.csv").read_bytes()


def finished(folder: Path) -> int:
    file = folder / "trials.sqlite"
    if not file.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as base:
            return int(base.execute("SELECT count(*) FROM trials").fetchone()[0])
    except sqlite3.OperationalError:  # the file is there, and the table is not yet
        return 0


def run(folder: Path) -> float:
    start = time.perf_counter()
    subprocess.run(command(folder), check=True, capture_output=True)
    return time.perf_counter() - start


def kill(folder: Path, after: float | None) -> tuple[int, int]:
    """Start and kill; returns how many trials were finished, how many groups had a state."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command(folder), **quiet)
    start = time.perf_counter()
    while process.poll() is None:
        passed = time.perf_counter() - start
        if passed > after if after is not None else finished(folder):
            break
        time.sleep(0.002)
    process.kill()
    process.wait()
    return finished(folder), checkpoint.count(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance, same = random.Random(arguments.seed), 0
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "whole"
        took = run(whole)
        for number in range(arguments.times):
            folder = Path(place) / str(number)
            after = None if number % 2 else chance.random() * took
            kept, states = kill(folder, after)
            run(folder)
            found = json.loads((folder / "results.json").read_text())["run"]["found_finished"]
            equal = results(folder) == results(whole)
            same += equal
            moment = (
                "at the first finished trial group" if after is None else f"after {after:.1f} s"
            )
            print(
                f"{number + 1:2}: killed {moment}, {kept} of {3 * len(ROWS)} trials "
                f"and {states} states kept, "
                f"{found} found again: {'the same' if equal else 'NOT THE SAME'}",
                flush=True,
            )
    print(f"{same} of {arguments.times} rounds ended with the same bytes")
    sys.exit(same != arguments.times)


if __name__ == "__main__":
    main()
