"""A comparison as one HTML page that needs nothing else, and as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fanin.lab import figures, summary
from fanin.lab.trial import checkpoints, curve_steps

if TYPE_CHECKING:
    from fanin.lab.comparison import Comparison, Row
    from fanin.lab.trial import Trial


def html(comparison: Comparison) -> str:
    """The report. Everything that users wrote is escaped; the plots alone are trusted markup."""
    environment = Environment(
        loader=PackageLoader("fanin.lab"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("compare.html.j2").render(
        comparison=comparison,
        headline=summary.headline(comparison),
        headers=summary.HEADERS,
        rows=[(row, summary.cells(comparison, row)) for row in comparison.rows],
        notes=summary.notes(comparison),
        dots=Markup(figures.accuracy_dots(comparison)),
        curves=[
            (row, Markup(svg))
            for row, svg in zip(comparison.rows, figures.loss_curves(comparison), strict=True)
        ],
    )


def json_text(comparison: Comparison) -> str:
    """All numbers as JSON; NaN and infinity, which JSON does not know, are null."""
    settings = comparison.settings
    content = {
        "command": settings.command,
        "settings": dataclasses.asdict(settings),
        "data": {"note": comparison.note, "classes": comparison.classes},
        "versions": comparison.versions,
        "seconds": comparison.seconds,
        "accuracy_steps": checkpoints(settings.steps),
        "loss_steps": curve_steps(settings).tolist(),
        "loss_window": settings.window,
        "rows": [_row(comparison, row) for row in comparison.rows],
    }
    return json.dumps(_finite(content), indent=1, allow_nan=False) + "\n"


def _row(comparison: Comparison, row: Row) -> dict[str, Any]:
    return {
        "initializer": row.name,
        "accuracy": dataclasses.asdict(row.accuracy),
        "median_steps_to_target": row.median_steps,
        "reached_target": len(row.steps_to_target),
        "failed": row.failed,
        "trials": [_trial(comparison, trial) for trial in row.trials],
    }


def _trial(comparison: Comparison, trial: Trial) -> dict[str, Any]:
    return {
        "seed": trial.seed,
        "verdict": trial.verdict,
        "steps_to_target": trial.steps_to_target,
        "accuracies": trial.accuracies,
        "losses": [float(f"{loss:.5g}") for loss in trial.curve(comparison.settings)],
    }


def _finite(value: Any) -> Any:
    """`value` with None in place of every float that is not finite."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
