"""A comparison as one HTML page that needs nothing else, as JSON and as CSV."""

import csv
import dataclasses
import io
import math
from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fanin._json import json_text as as_json
from fanin.lab.depth import DepthRow
from fanin.lab.report import figures, formatting, summary
from fanin.lab.report.verdict import verdict, warnings
from fanin.lab.result import Result, ResultRow
from fanin.lab.statistics import signflip, statistics
from fanin.lab.statistics.family import ComparisonFamily
from fanin.lab.training.trial import Trial

DIFFERENCE_HEADERS = ("rows", "difference", "95 % bounds", "p", "would be found", "found")


def html(comparison: Result) -> str:
    """The report. Everything that users wrote is escaped; the plots alone are trusted markup."""
    environment = Environment(
        loader=PackageLoader("fanin.lab.report"), autoescape=True, undefined=StrictUndefined
    )

    def sizes(draw: Callable[[Result, float], str]) -> dict[str, Markup]:
        """A plot for a screen and one for a telephone, of which the page shows one."""
        widths = {"wide": figures.WIDE, "narrow": figures.NARROW}
        return {name: Markup(draw(comparison, width)) for name, width in widths.items()}

    return environment.get_template("compare.html.j2").render(
        comparison=comparison,
        verdict=verdict(comparison),
        headers=summary.headers(comparison),
        rows=[(row, summary.cells(comparison, row)) for row in comparison.ranked],
        warnings=warnings(comparison),
        notes=summary.notes(comparison),
        differences=_differences(comparison),
        difference_headers=DIFFERENCE_HEADERS,
        tried=[row for row in comparison.rows if row.rate.tried],
        statistics=statistics,
        signflip=signflip,
        dots=sizes(figures.score_dots),
        curves=sizes(figures.loss_curves),
        signals={
            what: summary.signals(comparison, which)
            for what, which in (("outputs", "forward"), ("gradients", "backward"))
        },
        depths=list(
            zip(comparison.depths, map(Markup, figures.depth_panels(comparison)), strict=True)
        ),
    )


def _differences(comparison: Result) -> list[tuple[str, ...]]:
    """The paired comparisons of the score, in words: pair, difference, interval, p, detectable."""
    shown: list[tuple[str, ...]] = []
    for difference in comparison.scores.differences:
        found = "yes" if difference.found else "no"
        could = (
            "none"
            if math.isinf(difference.detectable)
            else formatting.gap(comparison, difference.detectable)
        )
        shown.append(
            (
                f"{difference.first} - {difference.second}",
                formatting.gap(comparison, difference.interval.mean),
                formatting.bounds(comparison, difference.interval),
                f"{difference.p_adjusted:.3g}",
                could,
                found,
            )
        )
    return shown


def json_text(comparison: Result) -> str:
    """All numbers as JSON; those that are not finite as "nan", "inf" and "-inf".

    Only `run` differs between two runs of the same comparison.
    """
    settings = comparison.settings
    content = {
        "verdict": verdict(comparison),
        "settings": dataclasses.asdict(settings),
        "data": {"note": comparison.note},
        "loss": {"guess": comparison.guess, "target": comparison.target},
        "statistics": {
            "alpha": statistics.ALPHA,
            "level": statistics.LEVEL,
            "power": statistics.POWER,
            "resamples": signflip.RESAMPLES,
            "seed": signflip.SEED,
        },
        "versions": comparison.versions,
        "trained": comparison.how,
        "score_steps": settings.setup.checkpoints,
        "loss_steps": settings.setup.curve_steps,
        "loss_window": settings.setup.window,
        "rows": [_row(comparison, row) for row in comparison.rows],
        "differences": {
            "score": _family(comparison.scores),
            "steps_to_target": _family(comparison.steps),
        },
        "depths": [_depth(row) for row in comparison.depths],
        "run": comparison.run,
    }
    return as_json(content, indent=1)


def csv_text(comparison: Result) -> str:
    """One line for every trial of the table."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(
        ("initializer", "seed", "lr", "verdict", "score", "final_loss", "steps_to_target")
    )
    for row in comparison.rows:
        for trial in row.trials:
            steps = trial.steps_to(comparison.target)
            lines.writerow(
                (
                    row.name,
                    trial.seed,
                    row.rate.lr,
                    trial.verdict,
                    trial.score,
                    f"{trial.final_loss:.6g}",
                    "" if steps is None else steps,
                )
            )
    return text.getvalue()


def _row(comparison: Result, row: ResultRow) -> dict[str, Any]:
    return {
        "initializer": row.name,
        "lr": row.rate.lr,
        "lr_tried": [dataclasses.asdict(rate) for rate in row.rate.tried],
        "score": dataclasses.asdict(row.score),
        "mean_steps_to_target": row.mean_steps,
        "reached_target": len(row.steps_to_target),
        "failed": row.failed,
        "failures": row.failures,
        "trials": [_trial(comparison, trial) for trial in row.trials],
    }


def _trial(comparison: Result, trial: Trial) -> dict[str, Any]:
    return {
        "seed": trial.seed,
        "verdict": trial.verdict,
        "steps_to_target": trial.steps_to(comparison.target),
        "scores": trial.scores,
        "losses": [_short(loss) for loss in trial.curve(comparison.settings.setup.curve_steps)],
        "signals": {
            "layers": trial.signals.layers,
            "forward": [_short(value) for value in trial.signals.forward],
            "backward": [_short(value) for value in trial.signals.backward],
        },
    }


def _family(family: ComparisonFamily) -> dict[str, Any]:
    found = [
        dataclasses.asdict(difference) | {"found": difference.found}
        for difference in family.differences
    ]
    return {"baseline": family.baseline, "pairs": family.pairs, "comparisons": found}


def _depth(row: DepthRow) -> dict[str, Any]:
    by_depth = [
        {
            "depth": depth,
            "learned": row.count_learned(depth),
            "of": len(trials),
            "score": row.score(depth),
        }
        for depth, trials in row.trials.items()
        if trials
    ]
    return {"initializer": row.name, "starts_to": row.starts_to, "depths": by_depth}


def _short(value: float) -> float:
    return float(f"{value:.5g}")
