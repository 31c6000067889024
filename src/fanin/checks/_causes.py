"""Causes: findings of several rules and places that one fault makes, told once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fanin._columns import list_names
from fanin.checks._finding import Finding

# What judges sizes of signals and gradients, which say nothing where numbers are not finite.
_SIZES = frozenset({"F02", "F03", "F05", "F07", "F11", "F12", "F14", "F15"})
_BROKEN = "F01", "error"
_ENDS = re.compile(r"[.:;](?:\s|$)")  # of what advice has to be done, before it says why
_NAME = r"[\w.]*\w\b(?!\()"
NAMES = rf"{_NAME}(?:(?:, | and ){_NAME})*"  # as findings list parameters and modules
_NAMED = re.compile(rf"\b(for|of|in|before|behind) {NAMES}")
_NUMBER = re.compile(r"\d[\d.e+-]*")


@dataclass(frozen=True)
class Cause:
    """Findings with one remedy, the severest first."""

    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding:
        """The one that speaks for all."""
        return self.findings[0]

    @property
    def same(self) -> tuple[Finding, ...]:
        """Those that say the same as the first, of several layers; it is among them."""
        said = _kind(self.first)
        return tuple(finding for finding in self.findings if _kind(finding) == said)

    @property
    def fix(self) -> str:
        """What to write: for the first, and whether it has to be done for the others too."""
        alone = len({_remedy(finding) for finding in self.same}) == 1
        return self.first.fix if alone else f"{self.first.fix} And so at the other places."

    @property
    def consequences(self) -> tuple[str, ...]:
        """What all others see of it: rule, severity, and what was measured or where."""
        rules: dict[tuple[str, str], list[Finding]] = {}
        for finding in self.findings:
            if _kind(finding) != _kind(self.first):
                rules.setdefault((finding.id, finding.severity), []).append(finding)
        return tuple(f"{id} {level} at {_where(found)}" for (id, level), found in rules.items())


def find_causes(findings: Sequence[Finding]) -> list[Cause]:
    """The findings by what is to be done, in the order of their first appearance."""
    broken = next((item for item in findings if (item.id, item.severity) == _BROKEN), None)
    sized = next((item for item in findings if item.id in _SIZES), None)
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        of = finding
        if broken is not None and finding.id in _SIZES:
            of = broken
        elif sized is not None and finding.id == "F22":  # which follows from sizes
            of = sized
        found.setdefault(_remedy(of), []).append(finding)
    # One rule that says the same of several places, each with names and numbers of its own.
    merged: dict[tuple[str, ...], list[Finding]] = {}
    for several in found.values():
        merged.setdefault(_kind(several[0]), []).extend(several)
    return [Cause(tuple(several)) for several in merged.values()]


def _remedy(finding: Finding) -> str:
    """What is to be done, without the reason for it; the whole where there is more than one."""
    return finding.fix if ". And " in finding.fix else _ENDS.split(finding.fix)[0]


def _kind(finding: Finding) -> tuple[str, ...]:
    """What a finding says, whatever places it names; its numbers matter in advice alone."""
    why, fix = (_NAMED.sub(r"\1 it", text) for text in (finding.why, finding.fix))
    return finding.id, finding.severity, _NUMBER.sub("0", why), fix


def list_places(findings: Sequence[Finding]) -> str:
    """Where several findings are: the first few, and how many more there are."""
    return list_names([*dict.fromkeys(finding.place for finding in findings)])


def _where(findings: Sequence[Finding]) -> str:
    if len(findings) == 1:
        return f"{findings[0].place}: {findings[0].measured}"
    return list_places(findings)
