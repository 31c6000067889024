"""The results as JSON lines, one file an architecture; what was cut off by a kill is dropped.

A line is a cell: one start under one optimizer at one rate, over some seeds.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

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


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """The records of a file, none where there is no file; a last line that does not end was cut."""
    if not path.exists():
        return []
    whole, _, _ = path.read_text("utf-8").rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def read(path: Path) -> list[Cell]:
    """The cells of a file."""
    return [Cell(**record) for record in whole_lines(path)]


def current(cells: list[Cell]) -> dict[tuple[str, str, str, int], Cell]:
    """By what was run; of `auto` only what was run under the rules of its last cell."""
    rules = {cell.start: cell.rules for cell in cells}
    return {cell.key: cell for cell in cells if cell.rules == rules[cell.start]}


def append(path: Path, record: "DataclassInstance") -> None:
    """Write a line to the disk."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(record)) + "\n")
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Whether no other process of this machine has the file; a kill gives it back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        _drop_the_cut_line(path)
        yield True


def _drop_the_cut_line(path: Path) -> None:
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    if end < len(content):
        os.truncate(path, end)
