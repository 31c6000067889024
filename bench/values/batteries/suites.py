"""The suites of tests: what each is made of, how a test is called, and what it printed."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.values.batteries.results import P

ROOT = Path(__file__).parents[3]
SOURCE = Path(__file__).with_name("testu01.c")

# The arguments of words.py; where there are both, the seed changes fastest.
WORDS = {
    "names": {"names": 256, "seeds": 1, "run": 1},
    "seeds": {"names": 1, "seeds": 256, "run": 1},
    "both": {"names": 16, "seeds": 16, "run": 4},
}


@dataclass(frozen=True)
class TestU01:
    """A battery of TestU01, test by test; or one of its batteries of bits, at growing lengths."""

    name: str
    tests: Sequence[str]

    def command(self, test: str) -> list[str]:
        return [_driver(), self.name, test]

    def parse(self, printed: str) -> list[P]:
        fields = [line.split("\t") for line in printed.splitlines()]
        return [(name, float(p)) for first, p, name in _of_three(fields) if first == "p-value"]


@dataclass(frozen=True)
class Dieharder:
    """The tests of `dieharder -a`: a number, and the lengths of words for those that take one."""

    name: str
    tests: Sequence[str]

    def command(self, test: str) -> list[str]:
        columns = "test_name", "ntuple", "pvalues"
        shown = [argument for column in columns for argument in ("-D", column)]
        return ["dieharder", "-g", "200", "-d", *test.split(), *shown]

    def parse(self, printed: str) -> list[P]:
        fields = [line.split("|") for line in printed.splitlines()]
        return [
            (f"{name.strip()} {length.strip()}", float(p)) for name, length, p in _of_three(fields)
        ]


def _of_three(lines: list[list[str]]) -> list[list[str]]:
    return [line for line in lines if len(line) == 3]


@cache
def _driver() -> str:
    """The path of testu01.c's program, compiled where it is older."""
    program = ROOT / "build" / "testu01"
    if not program.exists() or program.stat().st_mtime < SOURCE.stat().st_mtime:
        program.parent.mkdir(exist_ok=True)
        libraries = ["-ltestu01", "-ltestu01probdist", "-ltestu01mylib", "-lm"]
        subprocess.run(["cc", "-O2", SOURCE, "-o", program, *libraries], check=True)
    return str(program)


def _numbers(first: int, last: int) -> list[str]:
    return [str(number) for number in range(first, last + 1)]


Suite = TestU01 | Dieharder
_LENGTHS = {
    number: [f" -n {length}" for length in range(first, last + 1)]
    for number, first, last in (("200", 1, 12), ("201", 2, 5), ("202", 2, 5), ("203", 0, 32))
}
SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        TestU01("SmallCrush", _numbers(1, 10)),
        TestU01("Crush", _numbers(1, 96)),
        TestU01("BigCrush", _numbers(1, 106)),
        TestU01("Rabbit", _numbers(20, 36)),
        TestU01("Alphabit", _numbers(20, 36)),
        Dieharder(
            "dieharder",
            [
                f"{number}{length}"
                for number in [*_numbers(0, 17), *_numbers(100, 102), *_numbers(200, 209)]
                for length in _LENGTHS.get(number, [""])
            ],
        ),
    )
}
