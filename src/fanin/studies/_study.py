"""What a study is made of: parts that measure, and claims that the measurements are held against.

A study is two functions. `parts(scale)` says what to measure, piece by piece; each piece is kept on
disk when it is finished. `conclude(found, scale)` turns the measurements into claims, tables and
figures, and measures nothing itself: so a test can hand it measurements that it made up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Scale = Literal["quick", "full"]  # seconds, or minutes
ClaimVerdict = Literal["holds", "refuted", "undecided"]
Advance = Callable[[int], object]


@dataclass(frozen=True)
class StudyPart:
    """One piece of work. `measure(advance)` returns what JSON can hold, without NaN and infinity.

    The study, `name`, `settings` and the versions decide the result: `settings` has all that the
    function was built with. It may call `advance(n)` as it goes, up to `steps` in all. `timed`
    marks measurements in seconds, which no two runs share.
    """

    name: str
    settings: Mapping[str, Any]
    measure: Callable[[Advance], Any]
    steps: int = 1
    timed: bool = False


@dataclass(frozen=True)
class Claim:
    """What a source says, what was measured, and whether it holds; None is undecided.

    `why` says what the verdict rests on; an undecided claim must have it. `figures` are the numbers
    of the sentence `measured`, for programs.
    """

    statement: str
    source: str
    measured: str
    holds: bool | None
    why: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    timed: bool = False

    def __post_init__(self) -> None:
        if self.holds is None and not self.why:
            raise ValueError(f"the claim {self.statement!r} is undecided and does not say why")

    @property
    def verdict(self) -> ClaimVerdict:
        """The verdict as a word."""
        if self.holds is None:
            return "undecided"
        return "holds" if self.holds else "refuted"


@dataclass(frozen=True)
class Table:
    """Cells as text; the first column names its row. `timed` as a part's."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""
    timed: bool = False

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"a row of the table {self.title!r} has another number of cells")


@dataclass(frozen=True)
class Figure:
    """A picture, drawn when it is written: `draw` returns a whole SVG file (`_drawing.panels`).

    `title` is what one who cannot see it reads; `name` becomes part of the file's name.
    """

    name: str
    title: str
    draw: Callable[[], str]
    caption: str = ""


@dataclass(frozen=True)
class Findings:
    """What a study found. `conditions` are sentences: seeds, sizes, precision, data."""

    claims: Sequence[Claim]
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    conditions: Sequence[str] = ()


@dataclass(frozen=True)
class Study:
    """A question that a source answers, and how it is answered here; see the file's docstring."""

    name: str
    title: str
    question: str
    source: str
    parts: Callable[[Scale], Sequence[StudyPart]]
    conclude: Callable[[Mapping[str, Any], Scale], Findings]


@dataclass(frozen=True)
class StudyResult:
    """A study's findings with what is needed to repeat them.

    `measured` has what every part returned, `timed` the names of those that measure seconds; `run`
    belongs to this run alone: times, resume facts.
    """

    study: Study
    scale: Scale
    findings: Findings
    measured: Mapping[str, Any]
    timed: frozenset[str]
    versions: Mapping[str, str]
    run: Mapping[str, Any]

    @property
    def command(self) -> str:
        """The shell command that repeats it."""
        return f"fanin study {self.study.name}{' --quick' if self.scale == 'quick' else ''}"
