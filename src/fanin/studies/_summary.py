"""A result as tables for the terminal."""

from collections.abc import Iterator, Sequence

from rich import box
from rich import table as rich_table
from rich.text import Text

from fanin.studies._study import Claim, Study, StudyResult, Table

_STYLES = {"holds": "green", "refuted": "red", "undecided": "yellow"}


def summary(result: StudyResult) -> Iterator[rich_table.Table]:
    """The claims, then the tables; what was measured in seconds comes last."""
    for timed in (False, True):
        claims = [claim for claim in result.findings.claims if claim.timed == timed]
        if claims:
            yield _claims(result.study.title + (": times" if timed else ""), claims)
        for table in result.findings.tables:
            if table.timed == timed:
                yield _table(table)


def listing(studies: Sequence[Study]) -> rich_table.Table:
    """All studies with their questions."""
    grid = rich_table.Table(box=box.SIMPLE_HEAD)
    grid.add_column("study", no_wrap=True)
    grid.add_column("question")
    for study in studies:
        grid.add_row(Text(study.name), Text(f"{study.title}: {study.question}"))
    return grid


def _claims(title: str, claims: Sequence[Claim]) -> rich_table.Table:
    # Text, not str: what is in brackets is never read as markup.
    grid = rich_table.Table(title=Text(title), title_justify="left", show_lines=True)
    for name in ("claim", "measured", "verdict"):
        grid.add_column(name, no_wrap=name == "verdict")
    for claim in claims:
        grid.add_row(
            Text(f"{claim.statement} ({claim.source})"),
            Text(f"{claim.measured} {claim.why}".strip()),
            Text(claim.verdict, style=_STYLES[claim.verdict]),
        )
    return grid


def _table(table: Table) -> rich_table.Table:
    grid = rich_table.Table(
        title=Text(table.title),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        caption=Text(table.note) if table.note else None,
        caption_justify="left",
    )
    for number, name in enumerate(table.columns):
        grid.add_column(Text(name), justify="right" if number else "left")
    for row in table.rows:
        grid.add_row(*map(Text, row))
    return grid
