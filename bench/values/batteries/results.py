"""What a test gave, by which rule it is judged, and what is still to be run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.lines import whole_lines

FOLDER = Path(__file__).with_name("runs")
P = tuple[str, float]
FAILURE, SUSPICION = 1e-10, 1e-4


@dataclass(frozen=True)
class Result:
    """One run of a test: `attempt` 0, or 1 where the first was suspicious.

    `words` says how they were interleaved, `p` has the name and value of every p-value, `seconds`
    are of the clock.
    """

    suite: str
    test: str
    words: str
    attempt: int
    first_seed: int
    p: Sequence[P]
    seconds: float

    @property
    def extreme(self) -> float:
        """The distance of its p-values to 0 or to 1, the least of them."""
        return min(min(p, 1 - p) for _, p in self.p)


def path_of(suite: str, folder: Path = FOLDER) -> Path:
    return folder / f"{suite}.jsonl"


def read(path: Path) -> list[Result]:
    return [Result(**record) for record in whole_lines(path)]


def verdict(attempts: Sequence[Result]) -> str:
    """What the attempts at one test say: it holds, is suspicious, or fails.

    A p-value within 1e-10 of 0 or 1 fails at once. One within 1e-4 is suspicious: the test is
    run again on other seeds, and fails if any p-value of it is suspicious again.
    """
    last = attempts[-1]
    if min(result.extreme for result in attempts) < FAILURE:
        return "fails"
    if last.extreme >= SUSPICION:
        return "holds"
    return "fails" if last.attempt else "suspicious"


def of_test(results: Sequence[Result], test: str, words: str) -> list[Result]:
    """The attempts at one test, in order."""
    return [result for result in results if (result.test, result.words) == (test, words)]


def pending(tests: Sequence[str], words: str, path: Path) -> Iterator[tuple[str, int]]:
    """The tests that have to be run, each with its attempt; the file is read again for each."""
    for test in tests:
        for attempt in (0, 1):
            attempts = of_test(read(path), test, words)
            if len(attempts) == attempt and (not attempts or verdict(attempts) == "suspicious"):
                yield test, attempt
