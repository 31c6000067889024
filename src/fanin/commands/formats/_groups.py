"""Groups: findings that say the same of several layers, told once."""

from collections.abc import Iterable
from dataclasses import dataclass

from fanin.checks import Finding


@dataclass(frozen=True)
class FindingGroup:
    """Findings of one rule with one severity, reason and remedy."""

    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding:
        """The one that speaks for all."""
        return self.findings[0]


def groups(findings: Iterable[Finding]) -> list[FindingGroup]:
    """The findings by what they say, in the order of their first appearance."""
    found: dict[object, list[Finding]] = {}
    for finding in findings:
        said = (finding.id, finding.severity, finding.why, finding.fix)
        found.setdefault(said, []).append(finding)
    return [FindingGroup(tuple(ones)) for ones in found.values()]
