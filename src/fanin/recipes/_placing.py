"""Placing: a recipe's own rule, and the rules by kind for all that it says nothing of."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace

from fanin.graph import Graph
from fanin.initializers import normal, variance_scaling
from fanin.param import Param
from fanin.recipes._choice import Choice
from fanin.recipes._digits import round_size
from fanin.recipes._made import heard, same
from fanin.recipes._tree import AS_MADE, AS_MEANT, by_kind, magnitude
from fanin.recipes._uses import constants, positions, refine

_SMALL = 0.02  # RMS of a table that may be added to anything

KindRule = Callable[[Param], Choice | None]


def place(
    params: Mapping[str, Param],
    graph: Graph | None,
    rule: KindRule,
    own: Collection[str] = (),
) -> dict[str, Choice]:
    """The rule's choice for every parameter, and that of its kind where the rule has none.

    The rule sees parameters with what the graph adds to them; those that act through a function
    of their own, as a decay rate does, are kept before it is asked; rows of a table are not.
    Constants that stay whatever the recipe stay (`heard`). Of those in `own` the rule decides
    all the same.
    """
    counts = heard(params, graph)
    shown = refine(counts.params, graph)
    used = positions(graph)
    kept = constants(params, graph)
    made: dict[str, Choice] = {}
    for name, param in shown.items():
        if name in kept and name not in own:
            why = f"acts through {', '.join(kept[name])}; kept as made"
            value = None if param.constant is None else same(param.constant)
            made[name] = Choice(value, "constant of the layer", why)
            continue
        choice = rule(param) or _choose_unseen(param, name in used, graph is not None)
        if name in counts.stay and name not in own:
            role, axes = (choice.role, choice.axes) if choice else (param.kind, None)
            if param.constant is None:
                choice = Choice(None, role, AS_MEANT, axes)
            else:
                choice = Choice(same(param.constant), role, AS_MADE, axes)
        if choice is not None:
            made[name] = choice
    if graph is None:
        _ties(shown, made)
    _norms(shown, made)
    return {
        name: _tell_axes(made[name], shown[name], param)
        for name, param in params.items()
        if name in made
    }


def _choose_unseen(param: Param, used: bool, ran: bool) -> Choice | None:
    """The rule of the kind; the reason says where a run might have shown more."""
    choice = by_kind(param)
    why = "the run did not use it" if ran else "the model was not run"
    if choice is None and not used and param.kind == "other":
        if len(param.shape) >= 2:
            return Choice(
                normal(std=_SMALL), "table", f"a guess: small values; {why}", guessed=True
            )
        return Choice(None, "constant of the layer", f"a guess: kept; {why}", guessed=True)
    if choice is None or used or param.kind in ("bias", "shift", "scale"):
        return choice
    return replace(choice, why=f"{choice.why}; {why}")


def _ties(params: Mapping[str, Param], made: dict[str, Choice]) -> None:
    """Tables that are heads, too, and tables of their width, which are added to their rows."""
    widths = {param.shape[-1] for param in params.values() if param.head}
    for name, choice in made.items():
        param = params[name]
        if param.kind != "table" or choice.initializer != normal() or not param.shape:
            continue
        if param.shape[-1] in widths:
            std = round_size(param.shape[-1] ** -0.5)
            why = "also the head: its outputs get second moment 1"
            why = why if param.head else f"as large as the table of width {param.shape[-1]}"
            made[name] = replace(
                choice, initializer=normal(std=std), why=f"{why}; the model was not run"
            )


def _norms(params: Mapping[str, Param], made: dict[str, Choice]) -> None:
    """Magnitudes, from the sizes that their weights are to have."""
    for size, direction in _pair_magnitudes(params):
        chosen = made.get(direction.name)
        if chosen is None or chosen.initializer is None or size.name in made:
            continue
        made[size.name] = magnitude(size, direction, chosen)
        if chosen.initializer.std(direction.shape, direction.axes) == 0:  # no direction at all
            some = variance_scaling(1.0, "fan_in", "normal")
            made[direction.name] = replace(chosen, initializer=some)


def _pair_magnitudes(params: Mapping[str, Param]) -> Iterator[tuple[Param, Param]]:
    """Each magnitude with the direction that follows it in the same module."""
    size: Param | None = None
    for param in params.values():
        if param.kind == "magnitude":
            size = param
        elif param.kind == "direction" and size is not None:
            yield size, param
            size = None


def _tell_axes(choice: Choice, shown: Param, param: Param) -> Choice:
    """The choice with the axes, where the operation uses them otherwise than the tree says."""
    if choice.initializer is None or choice.axes is not None or shown.axes == param.axes:
        return choice
    return replace(choice, axes=shown.axes)
