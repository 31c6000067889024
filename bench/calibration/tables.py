"""How verdicts are counted against outcomes, as tables of Markdown; and how they get on a page."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from scipy.stats import binomtest

from fanin.checks import Checkup

PAGE = Path(__file__).parents[2] / "docs" / "check" / "calibration.md"


class Named(Protocol):
    @property
    def name(self) -> str: ...


Cell = TypeVar("Cell", bound=Named, covariant=True)
AnyCell = TypeVar("AnyCell", bound=Named)


@dataclass(frozen=True)
class Judged(Generic[Cell]):
    """A cell, what training came to, and the rules that spoke before it."""

    cell: Cell
    trains: bool
    lowest: float | None  # running mean of the training loss, over all rates and seeds
    errors: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def right(self) -> bool:
        """Flagged and fails, or neither."""
        return self.trains != bool(self.errors)


def judge(
    cell: AnyCell, trains: bool, lowest: Iterable[Iterable[float | None]], checkup: Checkup
) -> Judged[AnyCell]:
    """A cell beside its checkup; `lowest` are the lowest losses by rate and seed."""
    errors, warnings = (
        tuple(sorted({found.id for found in checkup.findings if found.severity == level}))
        for level in ("error", "warning")
    )
    losses = [loss for row in lowest for loss in row if loss is not None]
    return Judged(cell, trains, min(losses, default=None), errors, warnings)


def matrix(found: Sequence[Judged[Named]]) -> list[str]:
    """How many fail, how many of them are flagged; how many train, how many of them are not."""
    return [*_share(found, trained=False), *_share(found, trained=True)]


def _share(found: Sequence[Judged[Named]], *, trained: bool) -> tuple[str, str]:
    mine = [each for each in found if each.trains == trained]
    right = sum(each.right for each in mine)
    return str(len(mine)), f"{right} ({right / len(mine):.0%})" if mine else "-"


def confusion(found: Sequence[Judged[Named]]) -> str:
    """The whole matrix, with intervals of the share that is right."""
    rows = []
    for name, trained in (("fails to train", False), ("trains", True)):
        mine = [each for each in found if each.trains == trained]
        flagged = sum(bool(each.errors) for each in mine)
        rows.append([name, str(flagged), str(len(mine) - flagged), share_right(mine)])
    return table("| error | no error | right", rows)


def share_right(found: Sequence[Judged[Named]]) -> str:
    """In percent, with its 95 % interval (Wilson)."""
    if not found:
        return "-"
    right = sum(each.right for each in found)
    low, high = binomtest(right, len(found)).proportion_ci(method="wilson")
    return f"{right / len(found):.1%} ({low:.1%} to {high:.1%})"


def rules(found: Sequence[Judged[Named]]) -> str:
    """By rule: errors where networks fail and where they train; and how often no other rule saw."""
    counts: dict[str, Counter[str]] = {}
    for each in found:
        for rule in each.errors:
            own = counts.setdefault(rule, Counter())
            own["train" if each.trains else "fail"] += 1
            own["alone"] += len(each.errors) == 1 and not each.trains
    rows = [
        [f"[{rule}]({rule}.md)", *(str(own[what]) for what in ("fail", "alone", "train"))]
        for rule, own in sorted(counts.items())
    ]
    return table("rule | errors where it fails | alone | errors where it trains", rows)


def wrong(found: Sequence[Judged[Named]]) -> str:
    """The cells that the check gets wrong."""
    rows = [
        [
            each.cell.name,
            "trains" if each.trains else "fails",
            "-" if each.lowest is None else f"{each.lowest:.2f}",
            " ".join(each.errors) or "-",
            " ".join(each.warnings) or "-",
        ]
        for each in sorted(found, key=lambda each: (each.trains, each.cell.name))
        if not each.right
    ]
    return table("cell | training | lowest loss | errors | warnings", rows)


def table(head: str, rows: Iterable[Sequence[str]]) -> str:
    """Markdown."""
    lines = [f"| {head} |", "|" + " --- |" * len(head.split("|"))]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def written(text: str, made: Iterable[tuple[str, str]]) -> str:
    """A page with every part between its marks."""
    for name, part in made:
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition(f"<!-- /{name} -->\n")
        if not opening or not closing:
            raise SystemExit(f"{PAGE.name} has no marks of {name}")
        text = before + opening + part + closing + after
    return text
