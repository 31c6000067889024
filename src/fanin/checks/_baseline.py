"""Baseline: findings that are known, in a file, so that a check reports only new ones."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fanin._replacing import replacing
from fanin.checks._checkup import Checkup
from fanin.checks._finding import SEVERITIES, Severity
from fanin.checks._rules import RULES
from fanin.errors import FaninError, one_line

_VERSION = 1


@dataclass(frozen=True)
class Remaining(Checkup):
    """A checkup less the findings that a baseline knows, of which there are `known`."""

    known: int = 0

    @property
    def verdict(self) -> str:
        """The whole in one sentence, and that findings were left out."""
        if not self.known:
            return super().verdict
        new = super().verdict if self.findings else "No finding is new."
        return f"{new} The baseline knows {self.known} more."


@dataclass(frozen=True)
class Baseline:
    """The severity at which each finding is known, by (id, layer)."""

    known: Mapping[tuple[str, str], Severity]

    @classmethod
    def of(cls, checkup: Checkup) -> "Baseline":
        """All findings of a checkup; of several of one rule at one place the severest."""
        found: dict[tuple[str, str], Severity] = {}
        for finding in sorted(
            checkup.findings, key=lambda finding: SEVERITIES.index(finding.severity)
        ):
            found[finding.id, finding.layer] = finding.severity
        return cls(MappingProxyType(found))

    def remaining(self, checkup: Checkup) -> Checkup:
        """The checkup with the findings that are new, or severer than they are known."""
        new = tuple(
            finding
            for finding in checkup.findings
            if SEVERITIES.index(finding.severity) > self._level((finding.id, finding.layer))
        )
        same = {field.name: getattr(checkup, field.name) for field in fields(Checkup)}
        return Remaining(**{**same, "findings": new}, known=len(checkup.findings) - len(new))

    def find_gone(self, checkup: Checkup) -> tuple[tuple[str, str], ...]:
        """What is known but no longer found: (id, layer)."""
        found = {(finding.id, finding.layer) for finding in checkup.findings}
        return tuple(key for key in self.known if key not in found)

    def _level(self, key: tuple[str, str]) -> int:
        return SEVERITIES.index(self.known[key]) if key in self.known else -1

    def save(self, path: str | Path) -> None:
        """Write the file, whole or not at all; the same findings give the same bytes."""
        rows = [
            {"id": id, "layer": layer, "severity": severity}
            for (id, layer), severity in sorted(self.known.items())
        ]
        text = json.dumps({"fanin_baseline": _VERSION, "findings": rows}, indent=1) + "\n"
        try:
            with replacing([Path(path)]) as (temporary,):
                temporary.write_text(text, "utf-8")
        except (OSError, ValueError) as error:
            raise FaninError(
                f"cannot write the baseline {str(path)!r} ({one_line(error)})."
            ) from error

    @classmethod
    def load(cls, path: str | Path) -> "Baseline":
        """Read a file that `save` wrote."""
        try:
            stored: Any = json.loads(Path(path).read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise FaninError(
                f"the baseline {str(path)!r} cannot be read ({one_line(error)}). Make it with "
                "--write-baseline."
            ) from error
        try:
            if stored["fanin_baseline"] != _VERSION:
                raise ValueError(f"version {stored['fanin_baseline']!r}")
            known = {_key(row): _severity(row["severity"]) for row in stored["findings"]}
            return cls(MappingProxyType(known))
        except (KeyError, TypeError, ValueError) as error:
            raise FaninError(
                f"the baseline {str(path)!r} is not one of this version ({one_line(error)}). Make "
                "it anew with --write-baseline."
            ) from error


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    if row["id"] not in RULES:
        raise ValueError(f"unknown rule {row['id']!r}")
    return row["id"], str(row["layer"])


def _severity(text: str) -> Severity:
    for severity in SEVERITIES:
        if severity == text:
            return severity
    raise ValueError(f"unknown severity {text!r}")
