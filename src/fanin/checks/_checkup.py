"""Checkup: what a model's signal and gradient do, layer by layer, and what is wrong with it."""

from dataclasses import asdict, dataclass
from functools import cached_property

from fanin._arguments import check_choice
from fanin._json import json_text
from fanin.checks._causes import find_causes
from fanin.checks._conditions import Conditions
from fanin.checks._finding import SEVERITIES, Finding, Severity
from fanin.checks._layer import Layer
from fanin.checks._limits import LIMITS, Limits
from fanin.checks._notebook import render
from fanin.checks._report import report, table
from fanin.checks._rules import RULES


@dataclass(frozen=True)
class Checkup:
    """What `fanin.check` found; printed, a table of the layers and each finding with its remedy."""

    findings: tuple[Finding, ...]  # the severest first, then by id, then as the model runs
    layers: tuple[Layer, ...]
    notes: tuple[str, ...]  # what was assumed, and what could not be judged
    conditions: Conditions
    limits: Limits = LIMITS

    def ok(self, level: Severity = "error") -> bool:
        """Whether no finding is as severe as `level`: "note", "warning" or "error"."""
        check_choice("level", level, SEVERITIES)
        severe = SEVERITIES[SEVERITIES.index(level) :]
        return not any(finding.severity in severe for finding in self.findings)

    @cached_property
    def verdict(self) -> str:
        """The whole in one sentence, with what is worst in plain words."""
        counts = {
            level: sum(finding.severity == level for finding in self.findings)
            for level in SEVERITIES
        }
        if counts["error"]:
            worst = next(finding for finding in self.findings if finding.severity == "error")
            where = f", at {worst.place}" if worst.layer else ""
            return (
                f"This network will probably not train as it is: {RULES[worst.id].summary}{where} "
                f"({worst.id})."
            )
        if counts["warning"]:
            causes = find_causes(self.findings)
            ids = dict.fromkeys(
                cause.first.id for cause in causes if cause.first.severity == "warning"
            )
            said = RULES[next(iter(ids))].summary
            return f"This network may train badly: {said} ({', '.join(ids)})."
        if not self.layers:
            return "Nothing was checked: the run used no weight."
        passes = "Signal and gradient pass through this network: nothing stands against training it"
        if any(finding.id == "F22" for finding in self.findings):
            return f"{passes} with Adam, but SGD would hardly move it (F22)."
        return f"{passes}."

    @property
    def table(self) -> str:
        """One line per layer, however many there are."""
        return table(self.layers)

    def to_json(self) -> str:
        """The whole as JSON text; numbers that are not finite as "nan", "inf" and "-inf"."""
        whole = {
            "verdict": self.verdict,
            "findings": [asdict(finding) for finding in self.findings],
            "layers": [asdict(layer) for layer in self.layers],
            "notes": list(self.notes),
            "conditions": asdict(self.conditions),
            "limits": asdict(self.limits),
        }
        return json_text(whole, indent=2)

    def __str__(self) -> str:
        return report(self.verdict, self.findings, self.layers, self.notes, self.conditions)

    def _repr_html_(self) -> str:
        return render(self.verdict, self.findings, self.layers, self.notes, self.conditions)
