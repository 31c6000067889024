"""Run other people's test suites on the words of streams, test by test, and keep all p-values.

    nice -n 19 python -m bench.values.batteries SmallCrush Crush [--words names seeds both]

Suites: SmallCrush, Crush and BigCrush of TestU01; Rabbit and Alphabit of TestU01 on 2**20, 2**21
... 2**36 bits; dieharder, all of `-a`. (Debian: libtestu01-0-dev, of its section non-free, and
dieharder.) Each test has its own seeds: one with 256 names in turn, 256 with one name, or 16 with
16 names, four words at a time. Results are lines of JSON in runs/, and all of them make
docs/batteries.md. Start the same command again after any end: it goes on behind the last test that
is whole. The rule is `verdict` in results.py.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from bench.lines import append, claimed
from bench.values.batteries.report import DOCS, write_page
from bench.values.batteries.results import FOLDER, Result, path_of, pending
from bench.values.batteries.suites import SUITES, WORDS, Suite

MOST_SEEDS = 256  # of one test
MOST_TESTS = 128  # of one suite


def run(suite: Suite, test: str, words: str, attempt: int) -> Result:
    """Feed the test with the words of seeds that no other test has."""
    place = 2 * list(SUITES).index(suite.name) + attempt
    first_seed = MOST_SEEDS * (MOST_TESTS * place + suite.tests.index(test))
    options = WORDS[words] | {"first-seed": first_seed}
    arguments = [f"--{name}={value}" for name, value in options.items()]
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "bench.values.words", *arguments], stdout=subprocess.PIPE
    ) as source:
        try:
            command = suite.command(test)
            done = subprocess.run(command, stdin=source.stdout, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(f"{suite.name} does not run here: {error}") from None
    p = suite.parse(done.stdout)
    if source.returncode or not p:
        raise SystemExit(f"{suite.name} {test} gave no p-value:\n{done.stdout}{done.stderr}")
    seconds = round(time.monotonic() - began, 1)
    return Result(suite.name, test, words, attempt, first_seed, p, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="+", choices=SUITES, metavar="SUITE")
    parser.add_argument("--words", nargs="+", choices=WORDS, default=[*WORDS])
    parser.add_argument("--tests", nargs="+", help="only these")
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the page goes")
    options = parser.parse_args()
    for name in options.suites:
        suite, path = SUITES[name], path_of(name, options.out)
        with claimed(path) as mine:
            if not mine:
                raise SystemExit(f"another process writes {path}.")
            for words in options.words:
                for test, attempt in pending(options.tests or suite.tests, words, path):
                    result = run(suite, test, words, attempt)
                    append(path, result)
                    found = ", ".join(f"{p:.3g}" for _, p in result.p)
                    print(f"{name} {test}, {words}: {found}; {result.seconds} s", flush=True)
    write_page(options.out, options.docs)


if __name__ == "__main__":
    main()
