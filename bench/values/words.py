"""Raw 32-bit words of interleaved streams on standard output, for other people's test suites.

    python -m bench.values.words | dieharder -g 200 -d 0
    python -m bench.values.words --bytes 125000000 > words.bin

The streams are those of `--names` neighbouring names (layers.0, layers.1, ...) under each of
`--seeds` neighbouring seeds. They take turns, `--run` words at a time, so that a test sees both
the order within one stream and whatever two streams had in common. Without `--bytes` the output
has no end; a reader who has had enough closes the pipe.
"""

import argparse
import os
import sys
from collections.abc import Iterator

import numpy as np

from fanin import Stream

ROUND = 2**14  # words that each stream gives before the output is written


def interleaved(
    names: int, seeds: int, first_seed: int, run: int
) -> Iterator[np.ndarray[tuple[int], np.dtype[np.uint32]]]:
    """The words of names * seeds streams, `run` from each in turn; the seed changes fastest."""
    streams = [
        Stream(first_seed + seed, f"layers.{name}")
        for name in range(names)
        for seed in range(seeds)
    ]
    length = ROUND // run * run
    for start in range(0, 2**64 - length, length):
        words = np.stack([stream.words(length, start, threads=1) for stream in streams])
        turns = words.reshape(len(streams), -1, run).transpose(1, 0, 2)
        yield np.ascontiguousarray(turns).ravel()


def main() -> None:
    """Write until the bytes are out or nobody reads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--run", type=int, default=4, help="words of one stream in a row")
    parser.add_argument("--bytes", type=int, default=None, help="stop after so many")
    options = parser.parse_args()
    left = options.bytes
    try:
        for words in interleaved(options.names, options.seeds, options.first_seed, options.run):
            block = words.astype("<u4", copy=False).tobytes()[:left]
            sys.stdout.buffer.write(block)
            if left is not None and (left := left - len(block)) == 0:
                break
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Nothing is left to write to; the interpreter must not try to flush at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
