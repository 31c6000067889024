"""The results as JSON lines, one file an architecture.

A line is a cell: one start under one optimizer at one rate, over some seeds.
"""

from dataclasses import dataclass, field
from pathlib import Path

from bench.lines import whole_lines

FOLDER = Path(__file__).with_name("runs")


@dataclass(frozen=True)
class Cell:
    """What was run, and what came out.

    `losses` has a row for each seed and in it a loss for each checkpoint that was reached, None
    where it was not finite. `raised` says what a start said that does not know the model. `rules`
    is the digest of the plan where the start is `auto`. `seconds` are of the processor.
    """

    optimizer: str
    start: str
    phase: str  # tuning, best, neighbour
    power: int  # the rate is 10^(power / 2)
    rules: str | None = None
    losses: list[list[float | None]] = field(default_factory=list)
    raised: str | None = None
    seconds: float = 0.0

    @property
    def key(self) -> tuple[str, str, str, int]:
        return self.optimizer, self.start, self.phase, self.power


def path_of(name: str, folder: Path = FOLDER) -> Path:
    """The file of an architecture."""
    return folder / f"{name.replace('/', '-')}.jsonl"


def read(path: Path) -> list[Cell]:
    """The cells of a file."""
    return [Cell(**record) for record in whole_lines(path)]


def current(cells: list[Cell]) -> dict[tuple[str, str, str, int], Cell]:
    """By what was run; of `auto` only what was run under the rules of its last cell."""
    rules = {cell.start: cell.rules for cell in cells}
    return {cell.key: cell for cell in cells if cell.rules == rules[cell.start]}
