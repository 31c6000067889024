"""Speed of the streams beside torch.nn.init, NumPy's Generator, MKL and a plain fill.

    python -m bench.speed.streams [--rounds 5] [--backend NAME]

Every contender writes the 55,010,000 float32 weights of a 10000-5000-1000-10 network into
memory that is already mapped, with one thread and with all of this process's CPUs. The
contenders take turns, round by round, so that a change of the machine's speed meets all of
them; the medians are printed.
"""

import argparse
from collections.abc import Callable

import mkl_vsl
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import fanin
from bench.speed.timing import alternate
from fanin.streams import backend, backends, use_backend

SHAPES = {"0.weight": (5000, 10000), "1.weight": (1000, 5000), "2.weight": (10, 1000)}
VALUES = sum(rows * columns for rows, columns in SHAPES.values())

arrays = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
streams = {name: fanin.Stream(0, name) for name in SHAPES}
generator = np.random.default_rng(0)
mkl = mkl_vsl.draws()  # one thread, whatever is asked for

Contender = Callable[[str, int], object]


def contenders() -> dict[tuple[str, str], Contender]:
    """What writes one named array with a number of threads, by (draw, who)."""

    def ours(kind: str) -> Contender:
        return lambda name, threads: getattr(streams[name], kind)(
            SHAPES[name], out=arrays[name], threads=threads
        )

    def torchs(function: Callable[..., object], *arguments: float) -> Contender:
        return lambda name, threads: function(tensors[name], *arguments)

    def mkls(kind: str) -> dict[tuple[str, str], Contender]:
        return {(kind, "MKL"): lambda name, threads: mkl[kind](arrays[name])} if mkl else {}

    init = torch.nn.init
    return {
        ("fill", "NumPy"): lambda name, threads: arrays[name].fill(1.5),
        ("fill", "torch"): lambda name, threads: tensors[name].fill_(1.5),
        ("uniform", "fanin"): ours("uniform"),
        ("uniform", "torch"): torchs(init.uniform_),
        ("uniform", "NumPy"): lambda name, threads: generator.random(
            dtype=np.float32, out=arrays[name]
        ),
        **mkls("uniform"),
        ("normal", "fanin"): ours("normal"),
        ("normal", "torch"): torchs(init.normal_),
        ("normal", "NumPy"): lambda name, threads: generator.standard_normal(
            dtype=np.float32, out=arrays[name]
        ),
        **mkls("normal"),
        ("truncated normal", "fanin"): ours("truncated_normal"),
        ("truncated normal", "torch"): torchs(init.trunc_normal_, 0.0, 1.0, -2.0, 2.0),
    }


LAST_OF_KIND = set({kind: (kind, who) for kind, who in contenders()}.values())


def measure(rounds: int, threads: int) -> dict[tuple[str, str], float]:
    """Median nanoseconds a value of every contender."""
    torch.set_num_threads(threads)

    def all_layers(write: Contender) -> Callable[[], object]:
        return lambda: [write(name, threads) for name in SHAPES]

    runs = {key: all_layers(write) for key, write in contenders().items()}
    seconds = alternate(runs, rounds, f"{threads} thread(s)")
    return {key: value / VALUES * 1e9 for key, value in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="times each is run (default 5)")
    parser.add_argument("--backend", choices=backends(), default=backend(), help="of fanin")
    args = parser.parse_args()
    counts = sorted({1, torch.get_num_threads()})
    with use_backend(args.backend):
        results = {threads: measure(args.rounds, threads) for threads in counts}

    table = Table(
        title=f"{VALUES:,} float32 values, fanin's back end {args.backend}, "
        f"median of {args.rounds} rounds",
        caption="MKL's draws use one thread throughout" if mkl else None,
    )
    table.add_column("draw")
    table.add_column("who")
    for threads in counts:
        table.add_column(f"{threads} thread{'s' * (threads > 1)}\nns a value", justify="right")
        table.add_column("time\n/ fanin's", justify="right")
    for kind, who in contenders():
        cells = []
        for result in results.values():
            own = result.get((kind, "fanin"))
            ratio = f"{result[kind, who] / own:.2f}" if own else ""
            cells += [f"{result[kind, who]:.2f}", ratio]
        table.add_row(kind, who, *cells, end_section=(kind, who) in LAST_OF_KIND)
    Console().print(table)


if __name__ == "__main__":
    main()
