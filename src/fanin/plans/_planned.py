"""Planned: the three steps from a target to its plan: collect, choose, tell."""

from collections.abc import Mapping
from dataclasses import dataclass

from fanin.errors import FaninError, shown
from fanin.frameworks import Target
from fanin.graph import Graph, NoGraphError
from fanin.initializers import Initializer
from fanin.plans._choices import known, row_of, settled
from fanin.plans._notes import told_of
from fanin.plans._plan import Plan
from fanin.recipes import Recipe, find, match_overrides, single

_PASS_INPUTS = "pass inputs= (in a shell --input 3,224,224, say)"
_TREE = (
    "the module tree decides; residual branches, attention and what feeds a weight were not seen."
)

Overrides = Mapping[str, str | Initializer]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a user asks of a plan; `fanin.plan` says what each means."""

    inputs: object
    recipe: str | Recipe
    initializer: str | Initializer | None
    overrides: Overrides | None
    unplaced: str

    def __post_init__(self) -> None:
        if self.unplaced not in ("error", "keep"):
            raise FaninError(f"unplaced is {shown(self.unplaced)}; allowed are 'error' and 'keep'.")
        if self.initializer is not None and self.recipe != "auto":
            raise FaninError("recipe and initializer are both given; give one of them.")


def planned(target: Target, wishes: Wishes, seed: int) -> Plan:
    """The plan of a target."""
    recipe = _recipe(target, wishes, seed)
    trains = any(slot.param.trainable for slot in target.slots.values())
    params = {name: known(target, name, trains) for name in target.slots}
    aliases = {alias: name for name, param in params.items() for alias in param.aliases}
    given = match_overrides(params, wishes.overrides, aliases)

    graph, notes = _traced(target, wishes.inputs, required=recipe.needs_graph)
    if graph is None and recipe.needs_graph:
        raise FaninError(f"recipe {recipe.name} needs a run of the model: {_PASS_INPUTS}.")
    choices = recipe.choose(params, graph, given)
    rows = {
        name: row_of(slot, settled(target, name, choices, given, wishes.unplaced, trains))
        for name, slot in target.slots.items()
    }

    if rows and wishes.inputs is None and wishes.initializer is None:
        notes.append(f"made without inputs: {_TREE}")
    notes += [*target.notes, *told_of(target, graph, rows, given)]
    made = tuple(rows.values())
    return Plan(recipe.name, made, tuple(notes), prefix=target.prefix, library=target.library)


def _recipe(target: Target, wishes: Wishes, seed: int) -> Recipe:
    if wishes.initializer is not None:
        return single(wishes.initializer)
    recipe = find(wishes.recipe)
    if recipe.measuring is None:
        return recipe
    if wishes.inputs is None:
        raise FaninError(f"recipe {recipe.name} measures on a batch of data: {_PASS_INPUTS}.")
    return recipe.measuring(target.probe(wishes.inputs, seed))


def _traced(target: Target, inputs: object, *, required: bool) -> tuple[Graph | None, list[str]]:
    """The graph of a run, if there can be one, and what to say of it."""
    if inputs is None:
        return None, []
    try:
        graph = target.trace(inputs)
    except NoGraphError as error:
        if required:
            raise
        return None, [f"made without a graph: {error} Therefore {_TREE}"]
    asked = ", ".join(name or "the model" for name in graph.guessed)
    if not asked:
        return graph, []
    return graph, [
        f"values that the run does not have were asked for by {asked}; they were guessed, as "
        "what standard normal outputs of all layers give."
    ]
