"""A checkup as a notebook shows it: what `_report` says, as HTML."""

from collections.abc import Iterator, Sequence

from fanin import _html
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
            *(part for finding in findings for part in _tell(finding)),
            *_list_layers(layers, findings),
            *(_html.paragraph(note, "note:") for note in notes),
        ]
    )


def _tell(finding: Finding) -> Iterator[str]:
    title = f"{finding.id} {finding.severity}: {finding.place} ({RULES[finding.id].name})"
    said = f"{finding.measured}; expected {finding.expected}; limit {finding.limit}. {finding.why}"
    yield _html.paragraph(said, title, _TONES[finding.severity])
    yield _html.paragraph(finding.fix, "fix:")


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
