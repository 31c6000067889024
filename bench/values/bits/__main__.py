"""Draw the same values in two ways, compare the bits, and keep the count.

    nice -n 19 python -m bench.values.bits [--minutes 480]

Ways: levels of the kernel, the NumPy reference, threads, slices, orders of axes, processes, and
slices of tensors of up to 10**15 values; uniform, normal and truncated normal, in four dtypes.
Each kind of draw gets the same time of the processor, and each comparison its share. Counts are in
counts.jsonl, which is written every ten seconds, and make docs/bits.md: stop it whenever you like,
and start it again. A value counts once, though it was drawn twice. The exit status is 1 if two
differed, ever.
"""

import argparse
import signal
import sys
import time
from contextlib import ExitStack, suppress
from itertools import product
from pathlib import Path
from random import Random

import numpy as np

from bench.values.bits.counts import FILE, Count, digest_of_code, read, write
from bench.values.bits.pieces import DTYPES, KINDS, make_piece
from bench.values.bits.report import DOCS, write_page
from bench.values.bits.ways import LEVELS, Comparison, make_comparisons, on_level, storage
from fanin.streams import Array

TURN = 0.2  # seconds of the processor
EVERY = 10.0  # seconds between two writings
DRAWS = [f"{kind} {dtype}" for kind, dtype in product(KINDS, DTYPES)]


def compare(count: Count, comparison: Comparison, buffers: tuple[Array, Array]) -> None:
    """Draw the next piece of a count twice, and add what was found."""
    random = Random(f"{count.comparison}, {count.draw}, {count.pieces}")
    kind, dtype = count.draw.split()
    piece = make_piece(
        random, kind, dtype, comparison.totals, comparison.most, comparison.least_axes
    )
    stored = np.dtype(storage(dtype))
    straight, other = (np.ndarray(piece.counts, stored, buffer) for buffer in buffers)
    on_level(LEVELS[0], piece, straight, random)
    comparison.way(piece, other, random)
    bits = [drawn.view(f"uint{8 * stored.itemsize}").ravel() for drawn in (straight, other)]
    if not np.array_equal(*bits):
        places = np.flatnonzero(bits[0] != bits[1])
        count.differences += len(places)
        count.first = count.first or {
            "piece": count.pieces,
            "seed": piece.stream.seed,
            "name": piece.stream.name,
            "shape": piece.shape,
            "address": piece.address(int(places[0])),
            "bits": [hex(drawn[places[0]]) for drawn in bits],
        }
    count.pieces += 1
    count.elements += straight.size


def run(counts: list[Count], comparisons: dict[str, Comparison], path: Path, until: float) -> None:
    """Compare until the clock shows this time; whoever lags behind its share comes next."""
    buffers = (np.empty(8 * Comparison.most, np.uint8), np.empty(8 * Comparison.most, np.uint8))
    mine = {count.key: count for count in counts}
    code = digest_of_code()
    for draw, name in product(DRAWS, comparisons):
        mine.setdefault((name, draw, code), Count(name, draw, code))
    current = [mine[name, draw, code] for draw, name in product(DRAWS, comparisons)]
    written = time.monotonic()
    try:
        while time.monotonic() < until:
            count = min(
                current, key=lambda count: count.seconds / comparisons[count.comparison].share
            )
            began = time.process_time()
            while (spent := time.process_time() - began) < TURN:
                compare(count, comparisons[count.comparison], buffers)
            count.seconds = round(count.seconds + spent, 2)
            if time.monotonic() > written + EVERY:
                write(path, list(mine.values()))
                written = time.monotonic()
    finally:
        write(path, list(mine.values()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=480.0)
    parser.add_argument("--out", type=Path, default=FILE)
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the page goes")
    options = parser.parse_args()
    if not LEVELS:
        raise SystemExit("fanin was built without its kernel: there is nothing to compare.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    with ExitStack() as closing, suppress(KeyboardInterrupt):
        comparisons = make_comparisons(closing)
        until = time.monotonic() + 60 * options.minutes
        run(read(options.out), comparisons, options.out, until)
    counts = read(options.out)
    write_page(counts, options.docs)
    elements = sum(count.elements for count in counts)
    differences = sum(count.differences for count in counts)
    print(f"{elements:.4g} values compared, {differences} differ.")
    return int(differences > 0)


if __name__ == "__main__":
    sys.exit(main())
