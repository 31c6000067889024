"""Planned: the three steps from a target to its plan: collect, choose, tell."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from fanin._arguments import check_choice, check_flag
from fanin._columns import list_names
from fanin.errors import FaninError
from fanin.frameworks import Target
from fanin.graph import Graph, NoGraphError
from fanin.initializers import Initializer, get
from fanin.param import Param
from fanin.plans._choices import FROZEN, find_param, row_of, settle
from fanin.plans._copied import find_copies, note_copies
from fanin.plans._notes import list_notes, refuse_unseeded
from fanin.plans._plan import Plan
from fanin.plans._resized import RowSelection, find_resized, refuse_present
from fanin.plans._selection import Selection, find_held, name_aliases
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
    only: Selection | None = None
    keep: Selection | None = None
    rows: RowSelection | None = None
    like: Mapping[str, str] | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        check_flag("strict", self.strict)
        check_choice("unplaced", self.unplaced, ("error", "keep"))
        given = not isinstance(self.recipe, str) or self.recipe != "auto"
        if self.initializer is not None and given:
            raise FaninError("recipe and initializer are both given; give one of them.")


def make_plan(target: Target, wishes: Wishes, seed: int) -> Plan:
    """The plan of a target."""
    recipe = _recipe(target, wishes, seed)
    resized = find_resized(target, wishes.rows)
    copies = find_copies(target, wishes.like)
    for name in copies.keys() & resized.keys():
        raise FaninError(f"rows and like both name {name}; say it once.")
    named = dict.fromkeys(resized, "rows=") | dict.fromkeys(copies, "like=")
    held = find_held(target, wishes.only, wishes.keep, named)
    stays = _find_staying(target, wishes, held, named)
    counted = stays.keys() | resized.keys()  # with the values that they have
    params = {name: find_param(target, name, stays=name in counted) for name in target.slots}
    broken = _find_broken(params, held, wishes.inputs)
    given = match_overrides(params, wishes.overrides, name_aliases(target))
    copied = {name: f"a copy of {source}, as like= says" for name, source in copies.items()}
    given = _of_drawn(given, held | copied, wishes.overrides)
    for name in given.keys() - resized.keys():
        refuse_present(name, given[name])

    graph, notes = _trace(target, wishes.inputs, required=recipe.needs_graph)
    if held and graph is not None:
        graph, told = _measure(target, wishes.inputs, graph)
        notes += told
    if graph is None and recipe.needs_graph:
        raise FaninError(f"recipe {recipe.name} needs a run of the model: {_PASS_INPUTS}.")
    others = {name: initializer for name, initializer in given.items() if name not in resized}
    choices = dict(recipe.choose(params, graph, others))
    if new := resized.keys() - given.keys():
        _refuse_measuring(wishes, new)
        whole = params | {name: find_param(target, name, stays=False) for name in new}
        chosen = recipe.choose(whole, graph, given)
        choices |= {name: chosen[name] for name in new if name in chosen}
    rows = {
        name: row_of(
            slot,
            settle(target, name, choices, given, wishes.unplaced, stays, copied),
            resized.get(name),
            copies.get(name),
        )
        for name, slot in target.slots.items()
    }

    if broken:
        notes.append(f"values that are not finite stay in {list_names(broken)}: load them again.")
    if rows and wishes.inputs is None and wishes.initializer is None:
        notes.append(f"made without inputs: {_TREE}")
    notes += [*recipe.notes(params, graph), *target.notes, *list_notes(target, graph, rows, given)]
    notes += note_copies([*rows.values()])
    made = tuple(rows.values())
    if wishes.strict:
        refuse_unseeded(target, [row.name for row in made if row.keeps == "unseeded"], rows)
    return Plan(recipe.name, made, tuple(notes), prefix=target.prefix, library=target.library)


def _find_broken(params: Mapping[str, Param], held: Collection[str], inputs: object) -> list[str]:
    """The kept parameters that are not finite; FaninError where they size what is drawn."""
    sizes = {name: params[name].kept_rms for name in held}
    broken = [name for name, rms in sizes.items() if rms is not None and not math.isfinite(rms)]
    if broken and inputs is not None:
        raise FaninError(
            f"{list_names(broken)}: what stays as it is holds values that are not finite, and "
            "nothing can be sized for what it makes of the inputs. Load the checkpoint again, or "
            "draw it, too: only=, rows=."
        )
    return broken


def _find_staying(
    target: Target, wishes: Wishes, held: dict[str, str], named: Mapping[str, str]
) -> dict[str, str]:
    """The parameters that stay as they are, and why."""
    if wishes.only is not None or (named and wishes.keep is None):
        return held
    return {name: why for name, why in (_frozen(target) | held).items() if name not in named}


def _refuse_measuring(wishes: Wishes, resized: Collection[str]) -> None:
    """A recipe that draws a weight to measure what it does sizes whole weights."""
    if wishes.initializer is None and find(wishes.recipe).measuring is not None:
        raise FaninError(
            f"recipe {find(wishes.recipe).name} sizes whole weights by what they do, and of "
            f"{list_names(sorted(resized))} rows alone are drawn. Give them an initializer in "
            "overrides=, or take recipe auto."
        )


def _frozen(target: Target) -> dict[str, str]:
    """Parameters that do not train beside others that do, which stay as they are, and why."""
    trained = {name: slot.param.trainable for name, slot in target.slots.items()}
    return {name: FROZEN for name, trains in trained.items() if any(trained.values()) > trains}


def _of_drawn(
    given: dict[str, Initializer], held: Mapping[str, str], overrides: Overrides | None
) -> dict[str, Initializer]:
    """The overrides of what is drawn; one that names what only= or keep= hold is an error."""
    for name in given.keys() & held.keys():
        if name in (overrides or {}):
            raise FaninError(f"overrides has {name!r}, which is {held[name]}; say it once.")
    return {name: initializer for name, initializer in given.items() if name not in held}


def _measure(target: Target, inputs: object, graph: Graph) -> tuple[Graph, list[str]]:
    """The graph with what real weights and inputs make of its nodes, if there are values."""
    try:
        measured = target.measure(inputs, graph)
    except FaninError as error:
        return graph, [f"sizes are by theory from those of the kept weights: {error}"]
    return measured, [
        "what kept weights alone make of the inputs counts as it was measured on them."
    ]


def _recipe(target: Target, wishes: Wishes, seed: int) -> Recipe:
    if wishes.initializer is not None:
        refuse_present("initializer", get(wishes.initializer))
        return single(wishes.initializer)
    recipe = find(wishes.recipe)
    if recipe.measuring is None:
        return recipe
    if wishes.inputs is None:
        raise FaninError(f"recipe {recipe.name} measures on a batch of data: {_PASS_INPUTS}.")
    return recipe.measuring(target.probe(wishes.inputs, seed))


def _trace(target: Target, inputs: object, *, required: bool) -> tuple[Graph | None, list[str]]:
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
