"""Finding: one thing that is wrong with a model, and the call to write instead."""

from dataclasses import dataclass
from typing import Literal, get_args

Severity = Literal["note", "warning", "error"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)  # from the mildest on


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule found at one place.

    `layer` is the path of a module or a parameter, "" for the whole model. `measured`,
    `expected` (by theory) and `limit` are short texts; `value` is the number measured.
    `fix` is the call to write.
    """

    id: str
    severity: Severity
    layer: str
    measured: str
    expected: str
    limit: str
    why: str
    fix: str
    value: float | None = None

    @property
    def place(self) -> str:
        """Where it is, for people: "encoder.2", "layer 58" for a bare number, or "the model"."""
        if self.layer.partition(".")[0].isdigit():
            return f"layer {self.layer}"
        return self.layer or "the model"

    def __str__(self) -> str:
        return (
            f"{self.id} {self.severity} {self.place}: {self.measured}. {self.why} Fix: {self.fix}"
        )
