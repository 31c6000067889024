"""The words of interleaved streams through the tests of NIST SP 800-22.

    pip install sp80022suite
    python -m bench.values.nist [--sequences 100] [--first-seed 0]

The package is NIST's C code behind a Python module. Sequences of 10**6 bits, as NIST advises,
come from `words.py`, the most significant bit of a word first. The rule is NIST's (section 4.2):
a test fails if fewer than 99% - 3 sqrt(99% * 1% / sequences) of the sequences, rounded down,
have p >= 0.01 (96 of 100), or if the p-values over ten cells give a chi-square with p < 0.0001.
With 100 sequences a faultless generator fails a test with probability 0.0035. Where the package
keeps only the smallest of k p-values, that one times k (at most 1) is taken, and only the first
half of the rule applies.
"""

import argparse
import math
import sys
import time

import numpy as np
import sp80022suite
from rich.console import Console
from rich.table import Table
from scipy import stats

from bench.values.words import interleaved

WORDS = 10**6 // 32  # of a sequence
PER_BLOCK = 134  # sequences in the 2**22 words that come at a time
# name: the arguments before the bits (NIST's defaults), and how many p-values the least is of
TESTS: dict[str, tuple[tuple[int, ...], int]] = {
    "frequency": ((), 1),
    "block_frequency": ((128,), 1),
    "cumulative_sums": ((), 2),
    "runs": ((), 1),
    "longest_run_of_ones": ((), 1),
    "rank": ((), 1),
    "discrete_fourier_transform": ((), 1),
    "overlapping_template_matchings": ((9,), 1),
    "universal": ((), 1),
    "approximate_entropy": ((10,), 1),
    "serial": ((16,), 2),
    "linear_complexity": ((500,), 1),
    "random_excursions": ((), 8),
    "random_excursions_variant": ((), 18),
}


def p_values(sequences: int, first_seed: int) -> dict[str, list[float]]:
    """Each test's p-values; a walk with too few cycles gives no random excursions."""
    found: dict[str, list[float]] = {name: [] for name in TESTS}
    blocks = interleaved(16, 16, first_seed, 4)
    for place in range(sequences):
        if (turn := place % PER_BLOCK) == 0:
            block = next(blocks)
        words = block[turn * WORDS : (turn + 1) * WORDS]
        bits = np.unpackbits(words.astype(">u4").view(np.uint8)).tobytes()
        for name, (arguments, smallest_of) in TESTS.items():
            try:
                p = getattr(sp80022suite, name)(*arguments, bits)
            except ValueError as error:
                if "Insufficient number of cycles" not in str(error):
                    raise
                continue
            found[name].append(min(1.0, p * smallest_of))
    return found


def main() -> int:
    """Print the table; the exit status is 1 if a test fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    started = time.perf_counter()
    table = Table("test", "sequences", "p >= 0.01", "at least", "uniformity p", "verdict")
    failures = 0
    for name, found in p_values(options.sequences, options.first_seed).items():
        number = len(found)
        passed = sum(p >= 0.01 for p in found)
        least = math.floor(number * 0.99 - 3 * math.sqrt(number * 0.99 * 0.01))
        uniform = 1.0
        if TESTS[name][1] == 1:
            uniform = stats.chisquare(np.histogram(found, 10, (0, 1))[0]).pvalue
        holds = number > 0 and passed >= least and uniform >= 1e-4
        failures += not holds
        shown = f"{uniform:.3g}" if TESTS[name][1] == 1 else "-"
        verdict = "holds" if holds else "[bold red]FAILS"
        table.add_row(name, str(number), str(passed), str(least), shown, verdict)
    console = Console()
    console.print(table)
    console.print(f"{len(TESTS)} tests, {failures} fail; {time.perf_counter() - started:.0f} s")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
