"""docs/batteries.md: every p-value that there is."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.values.batteries.results import Result, of_test, path_of, read, verdict
from bench.values.batteries.suites import SUITES, WORDS
from fanin.lab.files import write_files

DOCS = Path(__file__).parents[3] / "docs"
SHOWN = 12  # p-values of one test; of more, the least and the greatest
_HEAD = """\
# Every p-value of the batteries

TestU01 1.2.3 and dieharder 3.31.1 on the words of streams, by `bench/values/batteries`;
[statistics](statistics.md#the-words-testu01-and-all-of-dieharder) says how, and by which rule.
*names*: 256 names in turn, word by word; *seeds*: 256 seeds in turn; *both*: 16 names under 16
seeds, four words at a time. Behind a comma: a second attempt, on other seeds. A p-value too close
to 1 counts as one too close to 0. Of more than 12 statistics the least and the greatest p-value are
shown; `bench/values/batteries/runs` has all.

Made by `python -m bench.values.batteries`; do not edit this page by hand.
"""


_RULE = "| --- "


def write_page(folder: Path, docs: Path) -> None:
    """Write the page from the results of all suites in a folder."""
    results = {name: read(path_of(name, folder)) for name in SUITES}
    parts = [_HEAD, *_summary(results)]
    for name, found in results.items():
        if found:
            parts += [f"\n## {name}\n", *_tests(name, found)]
    write_files(docs, {"batteries.md": "\n".join(parts) + "\n"})


def _summary(results: dict[str, list[Result]]) -> Iterator[str]:
    """How much of each suite was run on which words, and what its verdicts are."""
    head = "suite | words | tests run | p-values | most extreme | suspicious, then held | failed"
    yield f"| {head} |"
    yield _RULE * 7 + "|"
    for name, found in results.items():
        for words in WORDS:
            tests = [of_test(found, test, words) for test in SUITES[name].tests]
            run = [attempts for attempts in tests if attempts]
            if not run:
                continue
            verdicts = [verdict(attempts) for attempts in run]
            failed = verdicts.count("fails")
            number = sum(len(result.p) for attempts in run for result in attempts)
            extreme = min(result.extreme for attempts in run for result in attempts)
            held = sum(
                len(attempts) > 1 and word == "holds"
                for attempts, word in zip(run, verdicts, strict=True)
            )
            yield (
                f"| {name} | {words} | {len(run)} of {len(tests)} | {number} | {extreme:.2g} "
                f"| {held} | {failed} |"
            )


def _tests(suite: str, found: Sequence[Result]) -> Iterator[str]:
    """A row for each test that was run, with its p-values on each kind of words."""
    yield f"| test | statistics | {' | '.join(WORDS)} |"
    yield _RULE * (2 + len(WORDS)) + "|"
    for test in SUITES[suite].tests:
        attempts = {words: of_test(found, test, words) for words in WORDS}
        run = [results[0] for results in attempts.values() if results]
        if run:
            cells = [", ".join(map(_values, attempts[words])) or "-" for words in WORDS]
            yield f"| {test} | {_names(run[0])} | {' | '.join(cells)} |"


def _names(result: Result) -> str:
    names = [name for name, _ in result.p]
    return " ".join(names) if len(names) <= SHOWN else f"{len(names)}"


def _values(result: Result) -> str:
    found = sorted(p for _, p in result.p)
    if len(found) > SHOWN:
        return f"{_text(found[0])} ... {_text(found[-1])}"
    return " ".join(_text(p) for _, p in result.p)


def _text(p: float) -> str:
    return f"{p:.4g}" if p < 0.9995 else f"1 - {1 - p:.2g}"
