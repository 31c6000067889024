"""Rule: one check, its judges and its texts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from fanin.checks._finding import Finding
from fanin.checks._measurement import Measurement
from fanin.checks._note import Note

Judge = Callable[[Measurement], Iterator[Finding | Note]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One check: who judges by it, and what it says.

    `judges` find it in a measurement, in the order of the run. `warning` and `error` say when a
    finding is one; "" where it never is.
    """

    id: str
    name: str
    judges: tuple[Judge, ...] = field(repr=False)
    summary: str
    measured: str
    warning: str
    error: str
    reason: str
    allowed: str  # what it passes over without a word; "" where there is nothing of the kind
    remedy: str
    source: str

    @property
    def explanation(self) -> str:
        """The whole rule, in paragraphs."""
        limits = [f"{level}: {text}" for level, text in self._levels() if text]
        paragraphs = [
            f"{self.id} {self.name}: {self.summary}",
            f"Measured: {self.measured}",
            "\n".join(f"Reported as {limit}." for limit in limits) if limits else "",
            f"Reason: {self.reason}",
            f"Allowed: {self.allowed}" if self.allowed else "",
            f"Remedy: {self.remedy}",
            f"Source: {self.source}",
        ]
        return "\n\n".join(text for text in paragraphs if text)

    def _levels(self) -> tuple[tuple[str, str], ...]:
        return ("warning", self.warning), ("error", self.error)
