"""A result as a Markdown page with its pictures, and as JSON."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fanin._json import json_text as as_json
from fanin.lab.files import write_files
from fanin.studies._study import Claim, StudyResult, Table


def write_page(result: StudyResult, folder: Path) -> list[Path]:
    """Write NAME.md and NAME-FIGURE.svg into a folder, all or none; return their paths."""
    name = result.study.name
    pictures = {f"{name}-{figure.name}.svg": figure.draw() for figure in result.findings.figures}
    return write_files(folder, {f"{name}.md": markdown(result)} | pictures)


def write_json(result: StudyResult, folder: Path) -> list[Path]:
    """Write result.json into a folder; return its path in a list."""
    return write_files(folder, {"result.json": json_text(result)})


def json_text(result: StudyResult) -> str:
    """All of a result as JSON. Only `run` differs between two runs of the same study.

    What was measured in seconds is in `run`, claims and tables on it too.
    """
    study, findings = result.study, result.findings

    def find_time(timed_ones: bool) -> dict[str, Any]:
        return {
            "claims": [
                dataclasses.asdict(claim) | {"verdict": claim.verdict}
                for claim in findings.claims
                if claim.timed == timed_ones
            ],
            "tables": [
                dataclasses.asdict(table) for table in findings.tables if table.timed == timed_ones
            ],
            "measured": {
                name: value
                for name, value in result.measured.items()
                if (name in result.timed) == timed_ones
            },
        }

    content = {
        "study": study.name,
        "title": study.title,
        "question": study.question,
        "source": study.source,
        "scale": result.scale,
        "command": result.command,
        "conditions": list(findings.conditions),
        "versions": result.versions,
        **find_time(False),
        "run": {**result.run, **find_time(True)},
    }
    return as_json(content, indent=1)


def markdown(result: StudyResult) -> str:
    """The study's page."""
    study, findings = result.study, result.findings
    lasting = [claim for claim in findings.claims if not claim.timed]
    timed = [claim for claim in findings.claims if claim.timed]
    blocks = [
        f"# {study.title}",
        study.question,
        f"Source: {study.source}",
        f"Made by `{result.command}`; do not edit this page by hand.",
        "## What holds",
        _claims(lasting),
    ]
    for table in findings.tables:
        if not table.timed:
            blocks += _table(table)
    for figure in findings.figures:
        picture = f"![{figure.title}]({study.name}-{figure.name}.svg)"
        blocks += [f"## {figure.title}", picture, *([figure.caption] if figure.caption else [])]
    if timed or any(table.timed for table in findings.tables):
        blocks += ["## Times", _machine(result)]
        blocks += [_claims(timed)] if timed else []
        for table in findings.tables:
            if table.timed:
                blocks += _table(table)
    blocks += ["## Conditions", _conditions(result)]
    return "\n\n".join(blocks) + "\n"


def _machine(result: StudyResult) -> str:
    run = result.run
    return (
        f"These depend on the machine ({run['processor']}, {run['cpus']} CPUs) and on what else "
        f"it did (load average before a part: at most {run['load']:g}); all above does not."
    )


def _conditions(result: StudyResult) -> str:
    made_with = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    lines = [*result.findings.conditions, f"Versions: {made_with}.", f"Scale: {result.scale}."]
    times = (result.run[name] for name in ("cpu_seconds", "seconds"))
    lines.append("Time: {:.0f} s of one CPU, {:.0f} s by the clock.".format(*times))
    return "\n".join(f"- {line}" for line in lines)


def _claims(claims: Sequence[Claim]) -> str:
    rows = [
        (
            f"{claim.statement} ({claim.source})",
            f"{claim.measured} {claim.why}".strip(),
            claim.verdict,
        )
        for claim in claims
    ]
    return _grid(("claim", "measured", "verdict"), rows, numbers=False)


def _table(table: Table) -> list[str]:
    note = [table.note] if table.note else []
    return [f"### {table.title}", _grid(table.columns, table.rows, numbers=True), *note]


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: bool) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rule = ["---", *("---:" if numbers else "---" for _ in columns[1:])]
    return "\n".join([line(columns), line(rule), *map(line, rows)])
