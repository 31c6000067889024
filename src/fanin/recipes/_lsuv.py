"""The recipe `lsuv`: orthogonal weights, scaled one by one on a batch of data."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from fanin.errors import FaninError
from fanin.graph import CARRIERS, Graph, Structure, logits_of
from fanin.initializers import orthogonal as initializer
from fanin.param import Param
from fanin.recipes._choice import Choice
from fanin.recipes._digits import round_size
from fanin.recipes._placing import place
from fanin.recipes._recipe import GivenInitializers, Params, Probe, Recipe

TOLERANCE = 0.01  # of a variance around 1
TRIES = 10  # measurements of one weight
_UNSCALED = "it makes queries or keys, or no module returns its output alone"


class MeasuredWeight(NamedTuple):
    """A weight, and where its output is measured: at a module's path, or at its own name."""

    name: str
    place: str


def lsuv(probe: Probe) -> Recipe:
    """Orthogonal weights, each scaled until the output's variance on a batch is one.

    In the order of the run: measure, divide the weight's gain by the root of the variance,
    again until it is within 0.01 of one, ten times at most. The gains are in the plan, as
    orthogonal(gain): what it draws is a function of the seed as ever, and the variances are
    those of the batch for the seed that the probe drew with.

    A weight is scaled if its module returns its output, bias included; of JAX, where a program
    shows what every weight gives, each is. Attention is one unit:
    the projections of queries and keys, and packed ones, stay as they start. So do recurrent
    layers, constants that the constructor made on purpose, such as a head of zeros, and weights
    whose output no module returns; the plan says which. Normalized (weight_norm) weights get the
    size that `orthogonal` gives them.

    Args:
        probe: a copy of the model's weights and a batch to run it on. `recipe="lsuv"` of
            `fanin.plan` and `fanin.initialize` makes it from the model and the inputs.

    Returns the recipe, which needs a graph. Planning raises FaninError where an output has no
    variance that a scale could make one.

    Source: Mishkin & Matas 2016, algorithm 1; they allow 0.1 around one.

    >>> import fanin, torch
    >>> layers = torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64)
    >>> model, inputs = torch.nn.Sequential(*layers), torch.randn(256, 64)
    >>> plan = fanin.initialize(model, 0, inputs, recipe="lsuv")
    >>> round(model(inputs).var().item(), 1)
    1.0
    """

    def choose(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
        assert graph is not None
        choices = place(params, graph, _start)
        for name, choice in choices.items():
            start = given.get(name, choice.initializer)
            if start is not None and params[name].kept_rms is None:
                probe.write(name, start, choice.axes)
        for unit in units(graph, choices, probe.sees_weights):
            if unit.name not in given and params[unit.name].kept_rms is None:
                choices[unit.name] = _scale(probe, unit, choices[unit.name])
        return choices

    return replace(LSUV, choose=choose, needs="graph", measuring=None)


def _choose_unmeasured(
    params: Params, graph: Graph | None, given: GivenInitializers
) -> dict[str, Choice]:
    raise FaninError(f"recipe lsuv needs {BATCH}.")


BATCH = (
    "a batch to measure on: pass recipe=fanin.recipes.lsuv(probe), with the probe of the model and "
    "the inputs"
)
LSUV: Recipe = Recipe(
    "lsuv", _choose_unmeasured, "Mishkin & Matas 2016, algorithm 1", needs="values", measuring=lsuv
)


def _start(param: Param) -> Choice | None:
    if param.kind not in ("weight", "direction"):
        return None
    return Choice(initializer(), param.kind, f"orthogonal; not scaled: {_UNSCALED}")


def units(
    graph: Graph, choices: Mapping[str, Choice], everywhere: bool
) -> Iterator[MeasuredWeight]:
    """The weights that are scaled, in the order of the run; those alone in a module, or all."""
    found = logits_of(Structure(graph))
    projections = {end for logits in found for end in (logits.query, logits.key)}
    seen: set[str] = set()
    for position, node in enumerate(graph.nodes):
        if node.op != "linear" or node.param is None or node.param.name in seen:
            continue
        name = node.param.name
        seen.add(name)
        starts = name in choices and choices[name].initializer == initializer()  # constants stay
        kind = choices[name].role if starts else ""
        if kind != "weight" or position in projections:
            continue
        if everywhere or _returns_alone(graph, position):
            yield MeasuredWeight(name, name if everywhere else node.module)


def _returns_alone(graph: Graph, position: int) -> bool:
    """Whether a weight's module does nothing to its output but add a bias."""
    own = graph.nodes[position]
    assert own.param is not None
    inside = f"{own.module}." if own.module else ""
    for node in graph.nodes[position + 1 :]:
        if node.module != own.module and not node.module.startswith(inside):
            continue
        if node.param is not None and node.param.name == own.param.name:
            return True  # it runs again
        if node.op not in (*CARRIERS, "shift"):
            return False
    return True


def _scale(probe: Probe, unit: MeasuredWeight, choice: Choice) -> Choice:
    """The choice with the gain that gives its output variance one."""
    gain, first = 1.0, None
    for _ in range(TRIES):
        variance = probe.variance(unit.place)
        if not (math.isfinite(variance) and variance > 0):
            raise FaninError(
                f"the output of {unit.place or 'the model'}, {unit.name}'s, has variance "
                f"{variance} on these inputs, which no scale makes one. Look at the inputs, and "
                "at what runs before it; or use recipe='orthogonal'."
            )
        first = variance if first is None else first
        if abs(variance - 1) <= TOLERANCE:
            break
        gain = round_size(gain / math.sqrt(variance))
        probe.write(unit.name, initializer(gain), choice.axes)
    why = f"on the batch its output had variance {first:.4g} at gain 1"
    return replace(choice, initializer=initializer(gain), why=why, output=1.0)
