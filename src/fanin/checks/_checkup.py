"""Checkup: what a model's signal and gradient do, layer by layer, and what is wrong with it."""

import json
import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, get_args

from fanin.checks._finding import SEVERITIES, Finding, Severity
from fanin.checks._limits import LIMITS, Limits
from fanin.checks._report import report, table
from fanin.errors import FaninError, shown


@dataclass(frozen=True, slots=True)
class Layer:
    """One weight at its first use, and the output that it gave, its bias included.

    Numbers are None where they were not measured or do not exist. `rms` and `mean` are of the
    output; `expected_rms` follows from the weights' own variances and the activations, from the
    start of the layer's chain on. `gradient` is the norm per sample of the loss's gradient with
    respect to the output. `scale` is n Var(W) E[x**2] over the square that keeps a signal, as a
    factor on the standard deviation: 1 keeps it. `saturated` and `dead` are shares (of values, of
    units) behind the activation that follows. `chain` numbers the run of layers between
    normalizations that the layer belongs to, `position` counts within it, both from 0.
    """

    name: str  # of the weight: "layers.3.weight"
    module: str  # that holds it: "layers.3"
    kind: str  # "linear", "conv2d", "embedding", "lstm"
    shape: tuple[int, ...]
    activation: str  # what the output goes through: "relu"; "" for none
    initializer: str  # matched to the values: "glorot_uniform", "normal std 1", "zeros"
    fan_in: int | None = None
    fan_out: int | None = None
    rms: float | None = None
    mean: float | None = None
    expected_rms: float | None = None
    scale: float | None = None
    gradient: float | None = None
    saturated: float | None = None
    dead: float | None = None
    cosine: float | None = None  # mean over pairs of different inputs
    distinct_rows: int | None = None  # of the weight, one row per output unit
    distinct_gradient_rows: int | None = None  # of the loss's gradient with respect to it
    chain: int | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Conditions:
    """What was run: the same conditions give the same checkup."""

    model: str  # class name
    parameters: int
    torch: str  # version
    dtype: str
    device: str
    mode: str  # "train", "eval", or "mixed" where modules differ
    batch: int
    inputs: str  # "given", or "Gaussian, mean 0, variance 1, (8, 3, 224, 224)"
    # "cross-entropy", "mean squared error", "random projection", "given", "the model's own"
    loss: str
    draws: int
    seed: int


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
        if level not in SEVERITIES:
            raise FaninError(
                f"level is {shown(level)}; allowed are {', '.join(get_args(Severity))}."
            )
        severe = SEVERITIES[SEVERITIES.index(level) :]
        return not any(one.severity in severe for one in self.findings)

    @cached_property
    def verdict(self) -> str:
        """The whole in one sentence."""
        counts = {
            level: sum(one.severity == level for one in self.findings) for level in SEVERITIES
        }
        if counts["error"]:
            worst = next(one for one in self.findings if one.severity == "error")
            return f"This network will probably not train as it is: {worst.id} at {worst.place}."
        if counts["warning"]:
            ids = dict.fromkeys(one.id for one in self.findings if one.severity == "warning")
            return f"This network may train badly: {', '.join(ids)}."
        if not self.layers:
            return "Nothing was checked: the run used no weight."
        return "Signal and gradient pass through this network: nothing stands against training it."

    @property
    def table(self) -> str:
        """One line per layer, however many there are."""
        return table(self.layers)

    def to_json(self) -> str:
        """The whole as JSON text; numbers that are not finite as "nan", "inf" and "-inf"."""
        whole = {
            "verdict": self.verdict,
            "findings": [asdict(one) for one in self.findings],
            "layers": [asdict(one) for one in self.layers],
            "notes": list(self.notes),
            "conditions": asdict(self.conditions),
            "limits": asdict(self.limits),
        }
        return json.dumps(_plain(whole), indent=2) + "\n"

    def __str__(self) -> str:
        return report(self.verdict, self.findings, self.layers, self.notes, self.conditions)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
