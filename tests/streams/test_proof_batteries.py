"""The test suites of others: the rule, what is run again, the page."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.lines import append
from bench.values.batteries import __main__ as batteries
from bench.values.batteries import report, results, suites
from bench.values.batteries.results import P, Result

# One p-value: that of the number of ones in a million bits; a fault makes all of them zeros.
MONOBIT = """
import math, sys
bits = int.from_bytes(sys.stdin.buffer.read(125000), "little") * (1 - FAULT)
print(math.erfc(abs(2 * bits.bit_count() - 10**6) / 1000 / math.sqrt(2)))
"""


@dataclass(frozen=True)
class Monobit:
    fault: int = 0
    name: str = "SmallCrush"
    tests: Sequence[str] = ("1", "2")

    def command(self, test: str) -> list[str]:
        return [sys.executable, "-c", MONOBIT.replace("FAULT", str(self.fault))]

    def parse(self, printed: str) -> list[P]:
        return [("ones", float(printed))]


def result(p: float, attempt: int = 0, test: str = "1", words: str = "both") -> Result:
    return Result("SmallCrush", test, words, attempt, 0, [("ones", 0.5), ("zeros", p)], 1.0)


@pytest.mark.parametrize(
    ("p", "verdict"),
    [
        ([0.5], "holds"),
        ([1.1e-4], "holds"),
        ([0.9e-4], "suspicious"),
        ([1 - 0.9e-4], "suspicious"),
        ([0.9e-10], "fails"),
        ([1.0], "fails"),
        ([0.9e-4, 0.5], "holds"),
        ([0.9e-4, 1 - 0.9e-4], "fails"),
        ([0.9e-10, 0.5], "fails"),
    ],
)
def test_the_rule(p: list[float], verdict: str) -> None:
    assert results.verdict([result(each, attempt) for attempt, each in enumerate(p)]) == verdict


def test_what_is_there_is_not_run_again_and_a_suspicion_is_once(tmp_path: Path) -> None:
    path = results.path_of("SmallCrush", tmp_path)
    append(path, result(0.5, test="1"))
    append(path, result(1e-5, test="2"))
    append(path, result(1e-20, test="3"))
    append(path, result(0.5, test="4", words="names"))
    with path.open("a") as file:
        file.write('{"suite": "SmallCrush", "te')  # the end of a run that was killed
    asked = results.pending(["1", "2", "3", "4"], "both", path)
    assert next(asked) == ("2", 1)
    assert next(asked) == ("4", 0)
    assert list(asked) == []


def test_words_are_fresh_for_every_test_and_a_fault_is_found() -> None:
    sound = [batteries.run(Monobit(), test, "both", 0) for test in ("1", "2")]
    again = batteries.run(Monobit(), "1", "both", 1)
    seeds = [one.first_seed for one in (*sound, again)]
    assert len(set(seeds)) == 3
    assert min(abs(a - b) for a in seeds for b in seeds if a != b) >= batteries.MOST_SEEDS
    assert len({one.p[0][1] for one in (*sound, again)}) == 3
    assert all(results.verdict([one]) == "holds" for one in sound)
    assert results.verdict([batteries.run(Monobit(fault=1), "1", "both", 0)]) == "fails"


def test_no_two_tests_of_the_suites_share_words() -> None:
    assert all(len(suite.tests) <= batteries.MOST_TESTS for suite in suites.SUITES.values())
    most = max(max(words["seeds"], 1) for words in suites.WORDS.values())
    assert most <= batteries.MOST_SEEDS
    assert all(len(set(suite.tests)) == len(suite.tests) for suite in suites.SUITES.values())


def test_a_test_that_says_nothing_ends_the_run() -> None:
    class Silent(Monobit):
        def parse(self, printed: str) -> list[P]:
            return []

    with pytest.raises(SystemExit, match="gave no p-value"):
        batteries.run(Silent(), "1", "names", 0)


def test_what_the_suites_print_is_read() -> None:
    crush = suites.SUITES["Crush"].parse("=== Summary\nx\ty\np-value\t0.25\tGap, r = 0\n")
    assert crush == [("Gap, r = 0", 0.25)]
    dieharder = suites.SUITES["dieharder"]
    assert dieharder.parse("  rgb_bitdist|   3|0.49882131\n") == [("rgb_bitdist 3", 0.49882131)]
    assert dieharder.command("203 -n 31")[3:7] == ["-d", "203", "-n", "31"]
    assert len(dieharder.tests) == 28 + 12 + 4 + 4 + 33 - 1


def test_the_page_has_every_p_value(tmp_path: Path) -> None:
    path = results.path_of("SmallCrush", tmp_path)
    append(path, result(1e-5))
    append(path, result(0.25, attempt=1))
    append(path, result(1e-20, test="2", words="names"))
    report.write_page(tmp_path, tmp_path)
    page = (tmp_path / "batteries.md").read_text("utf-8")
    assert "| SmallCrush | both | 1 of 10 | 4 | 1e-05 | 1 | 0 |" in page
    assert "| SmallCrush | names | 1 of 10 | 2 | 1e-20 | 0 | 1 |" in page
    assert "| 1 | ones zeros | - | - | 0.5 1e-05, 0.5 0.25 |" in page


def test_the_page_is_that_of_the_results(tmp_path: Path) -> None:
    report.write_page(results.FOLDER, tmp_path)
    made = (tmp_path / "batteries.md").read_text("utf-8")
    assert (report.DOCS / "batteries.md").read_text("utf-8") == made
    kept = [results.read(results.path_of(name)) for name in suites.SUITES]
    assert sum(map(len, kept)) >= 30


@pytest.mark.slow
def test_the_driver_of_testu01_runs_one_test() -> None:
    if not Path("/usr/include/TestU01.h").exists():
        pytest.skip("TestU01 is not installed")
    found = batteries.run(suites.SUITES["SmallCrush"], "10", "both", 0)
    assert [name for name, _ in found.p] == [f"RandomWalk1 {letter}" for letter in "HMJRC"]
    assert results.verdict([found]) == "holds"
