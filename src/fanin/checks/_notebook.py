"""A checkup as a notebook shows it: what `_report` says, as HTML."""

from collections.abc import Iterator, Sequence

from fanin import _html
from fanin.checks._causes import Cause, find_causes, list_places
from fanin.checks._conditions import Conditions
from fanin.checks._finding import Finding, Severity
from fanin.checks._layer import Layer
from fanin.checks._report import (
    HEADS,
    NUMBERS,
    list_scales,
    pick_layers,
    row_cells,
    tell_conditions,
)
from fanin.checks._rules import RULES

_TONES: dict[Severity, _html.Tone] = {"error": "error", "warning": "warning", "note": ""}


def render(
    verdict: str,
    findings: Sequence[Finding],
    layers: Sequence[Layer],
    notes: Sequence[str],
    conditions: Conditions,
) -> str:
    """Verdict, findings with their fixes, scale over depth, layers, notes."""
    worst = _TONES[findings[0].severity] if findings else ""
    return _html.join_parts(
        [
            _html.paragraph("", verdict, worst),
            _html.paragraph(tell_conditions(conditions)),
            *(part for cause in find_causes(findings) for part in _tell(cause)),
            *_list_layers(layers, findings),
            *(_html.paragraph(note, "note:") for note in notes),
        ]
    )


def _tell(cause: Cause) -> Iterator[str]:
    first = cause.first
    more = f", and {list_places(cause.same[1:])}" if cause.same[1:] else ""
    title = f"{first.id} {first.severity}: {first.place}{more} ({RULES[first.id].name})"
    said = f"{first.measured}; expected {first.expected}; limit {first.limit}. {first.why}"
    yield _html.paragraph(said, title, _TONES[first.severity])
    for consequence in cause.consequences:
        yield _html.paragraph(consequence, "so also:")
    yield _html.paragraph(cause.fix, "fix:")


def _list_layers(layers: Sequence[Layer], findings: Sequence[Finding]) -> Iterator[str]:
    """The scales and the table, those with a finding of their own in its tone."""
    if not layers:
        return
    yield _html.preformat("\n".join(list_scales(layers)))
    # The severest come first, and stay where a layer has several.
    tones = {finding.layer: _TONES[finding.severity] for finding in reversed(findings)}
    shown = [layers[at] for at in pick_layers(layers, tones)]
    told = [tones.get(layer.module, tones.get(layer.name, "")) for layer in shown]
    yield _html.table(HEADS, [*map(row_cells, shown)], NUMBERS, told)
    if len(shown) < len(layers):
        left = len(layers) - len(shown)
        yield _html.paragraph(f"{left} more layers are not shown.")
