"""The words of interleaved streams through the fifteen tests of NIST SP 800-22.

    pip install sp80022suite
    python -m bench.values.nist [--sequences 100] [--first-seed 0]

The package is NIST's C code behind a Python module; it lacks NIST's files of templates, so one test
is our own, `templates.py`. Sequences of 10**6 bits, as NIST advises, come from `words.py`, the most
significant bit of a word first. The rule is NIST's (section 4.2): a test fails if fewer than 96 of
100 sequences have p >= 0.01 (of another number, fewer than a faultless generator has with
probability 0.9965), or if the p-values over ten cells give a chi-square with p < 0.0001. Each of
the 148 templates is a test for itself, and the chance of a false alarm is shared among them: the
worst of them is shown. Where the package keeps only the smallest of k p-values, that one times k
(at most 1) is taken, and only the first half of the rule applies.
"""

import argparse
import sys
import time

import numpy as np
import sp80022suite
from rich.console import Console
from rich.table import Table
from scipy import stats

from bench.values.templates import non_overlapping_templates
from bench.values.words import interleaved

WORDS = 10**6 // 32  # of a sequence
FALSE_ALARMS = 0.0035  # of the number of sequences with p >= 0.01, for one test
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


def p_values(sequences: int, first_seed: int) -> dict[str, np.ndarray]:
    """Each test's p-values, a row for each sequence and a column for each template.

    A walk with too few cycles gives no random excursions.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in TESTS}
    templates = []
    blocks = interleaved(16, 16, first_seed, 4)
    for place in range(sequences):
        if (turn := place % PER_BLOCK) == 0:
            block = next(blocks)
        words = block[turn * WORDS : (turn + 1) * WORDS]
        bits = np.unpackbits(words.astype(">u4").view(np.uint8))
        templates.append(non_overlapping_templates(bits))
        for name, (arguments, smallest_of) in TESTS.items():
            try:
                p = getattr(sp80022suite, name)(*arguments, bits.tobytes())
            except ValueError as error:
                if "Insufficient number of cycles" not in str(error):
                    raise
                continue
            found[name].append([min(1.0, p * smallest_of)])
    return {name: np.array(p) for name, p in found.items()} | {
        "non_overlapping_templates": np.array(templates)
    }


def main() -> int:
    """Print the table; the exit status is 1 if a test fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    started = time.perf_counter()
    table = Table("test", "sequences", "p >= 0.01", "at least", "uniformity p", "verdict")
    failures = 0
    found = p_values(options.sequences, options.first_seed)
    for name, p in found.items():
        number, templates = len(p), p.shape[-1]
        passed = int((p >= 0.01).sum(axis=0).min(initial=number))
        least = int(stats.binom.ppf(FALSE_ALARMS / templates, number, 0.99)) if number else 0
        shown, uniform = "-", 1.0
        if TESTS.get(name, ((), 1))[1] == 1:
            cells = np.array([np.histogram(column, 10, (0, 1))[0] for column in p.T])
            uniform = min(1.0, templates * stats.chisquare(cells, axis=1).pvalue.min())
            shown = f"{uniform:.3g}"
        holds = number > 0 and passed >= least and uniform >= 1e-4
        failures += not holds
        verdict = "holds" if holds else "[bold red]FAILS"
        table.add_row(name, str(number), str(passed), str(least), shown, verdict)
    console = Console()
    console.print(table)
    console.print(f"{len(found)} tests, {failures} fail; {time.perf_counter() - started:.0f} s")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
