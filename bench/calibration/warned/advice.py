"""What advice says, done: the initializers that it names, the data brought to scale."""

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import nn

import fanin
from fanin.checks import Checkup, Finding
from fanin.checks._causes import NAMES

_CALL = r"\w+\([^()]*\)"
_PLACES = (
    r"these weights|their biases|its bias|the last weight of each branch"
    rf"|the weight of the readout, {NAMES}"
    rf"|the bias of {NAMES}|the weights? of {NAMES}|(?!the whole model){NAMES}"
)
Way = Callable[[nn.Module, int], Any]
"""Changes a model, with a seed, and gives the inputs that it is then trained on."""


def initializers(finding: Finding, checkup: Checkup, model: nn.Module) -> dict[str, str]:
    """The initializer that advice has for every parameter that it speaks of."""
    rows = checkup.layers
    chain = next((row.chain for row in rows if row.module == finding.layer), None)
    weights = [row.name for row in rows if row.chain == chain]
    found: dict[str, str] = {}
    for call, places in re.findall(rf"({_CALL})(?: or {_CALL})? for ({_PLACES})", finding.fix):
        of = re.match("the (weight|bias)s? of (?!the readout)", places)
        names = re.split(", | and ", places[of.end() if of else 0 :])
        if of:
            names = [f"{name}.{of[1]}" for name in names]
        elif places.startswith("the weight of the readout"):
            names = names[1:]
        elif places == "these weights":
            names = weights
        elif places == "their biases":
            names = [name.removesuffix("weight") + "bias" for name in weights]
        elif places == "its bias":
            names = [list(found)[-1].removesuffix("weight") + "bias"]
        elif places == "the last weight of each branch":
            names = [name for name, _ in model.named_parameters() if name.endswith("last.weight")]
        found |= dict.fromkeys(names, call)
    return found


def follow(
    findings: Sequence[Finding], checkup: Checkup, model: nn.Module, x: Any
) -> Iterator[Way]:
    """The ways that advice names, for a model like this one on the inputs x."""
    fixes = " ".join(finding.fix for finding in findings)
    data = re.search(r"Standardize the data: (\(.*?\) / x\.std\(\))", fixes)
    chosen: dict[str, str] = {}
    for finding in findings:
        chosen |= initializers(finding, checkup, model)

    def write(model: nn.Module, seed: int) -> Any:
        if chosen:
            fanin.initialize(model, seed, x, overrides=chosen, only=list(chosen))
        return eval(data[1], {"x": x}) if data else x

    def call(code: str, model: nn.Module, seed: int) -> Any:
        known = {"fanin": fanin, "model": model, "seed": seed, "x": x}
        eval(code.replace("(model", "(model, seed"), known)
        return x

    if data or chosen:
        yield write
    for code in dict.fromkeys(re.findall(r"fanin\.initialize\(model[^)]*\)", fixes)):
        yield functools.partial(call, code)
