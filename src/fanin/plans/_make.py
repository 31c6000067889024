"""plan and initialize: from a model to its plan, and to its weights."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from fanin._arguments import check_seed
from fanin._columns import listed
from fanin.errors import FaninError, an, shown, warn
from fanin.frameworks import adapter_for
from fanin.graph import Graph, NoGraphError
from fanin.initializers import Initializer
from fanin.param import Param
from fanin.plans._plan import Plan
from fanin.plans._row import ASKED, REDRAWN, UNSEEDED, Row
from fanin.recipes import (
    GUESS,
    Choice,
    Recipe,
    dropout_factor,
    find,
    given_by_name,
    lsuv,
    same,
    single,
)

_PASS_INPUTS = "pass inputs= (in a shell --input 3,224,224, say)"
_TREE = (
    "the module tree decides; residual branches, attention and what feeds a weight were not seen."
)

_DROPOUT = 3.0  # between training and eval mode: more is told

Overrides = Mapping[str, str | Initializer]


def plan(
    model: Any,
    inputs: Any = None,
    recipe: str | Recipe = "auto",
    *,
    initializer: str | Initializer | None = None,
    overrides: Overrides | None = None,
    unplaced: str = "error",
    rename: Mapping[str, str] | None = None,
    prefix: str = "",
) -> Plan:
    """Which initializer every parameter of a model gets, and why; nothing is written.

    Args:
        model: a torch.nn.Module, unsharded; it may be on the meta device or built empty.
        inputs: what the model is called with: a tensor, a tuple (positional) or a dict
            (keywords). The model runs once on fake tensors of these shapes, without memory or
            arithmetic. Without inputs the module tree decides, and the plan says so.
        recipe: "auto" or another name of `fanin.recipes.names()`, or a Recipe. "lsuv" draws with
            the seed (0 in `plan`) and measures on the inputs.
        initializer: instead of a recipe, one initializer for all weights; biases start at zero
            and normalizations as the identity.
        overrides: initializers by parameter name or glob pattern; they win. A key that is a
            parameter's name wins over patterns; of patterns the last match counts.
        unplaced: "error", or "keep" for parameters that no rule places.
        rename: canonical names by the model's own, where only the user knows them.
        prefix: stands before every name when values are drawn, "critic1" say: models of equal
            names get other values of the same seed. The plan keeps it.

    Returns the Plan, which prints as a table. Raises FaninError that names the parameter, its
    shape and what to do.

    >>> import fanin, torch
    >>> layers = torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10)
    >>> made = fanin.plan(torch.nn.Sequential(*layers), torch.zeros(1, 784))
    >>> print(made["2.weight"])
    2.weight (10, 256) float32: he_normal()
    >>> made["2.weight"].why
    'input through relu has second moment 0.5; the head'
    """
    slots = adapter_for(model).slots(model, rename=rename, prefix=prefix)
    return _planned(model, slots, 0, inputs, recipe, initializer, overrides, unplaced, rename)


def _planned(
    model: Any,
    found: Iterable[Any],
    seed: int,
    inputs: Any,
    recipe: str | Recipe,
    initializer: str | Initializer | None,
    overrides: Overrides | None,
    unplaced: str,
    rename: Mapping[str, str] | None,
) -> Plan:
    """The plan of a model whose slots are `found`."""
    if unplaced not in ("error", "keep"):
        raise FaninError(f"unplaced is {shown(unplaced)}; allowed are 'error' and 'keep'.")
    if initializer is not None and recipe != "auto":
        raise FaninError("recipe and initializer are both given; give one of them.")
    adapter = adapter_for(model)
    slots = {slot.param.name: slot for slot in found}
    prefix = next((slot.prefix for slot in slots.values()), "")
    if inputs is not None:
        _refuse_sharded(slots.values())
    if initializer is not None:
        chosen = single(initializer)
    elif recipe == "lsuv":  # the one that looks at values: it draws, and measures on the inputs
        if inputs is None:
            raise FaninError(f"recipe lsuv measures on a batch of data: {_PASS_INPUTS}.")
        chosen = lsuv(adapter.TorchProbe(model, inputs, seed, rename, prefix))
    else:
        chosen = find(recipe)
    trains = any(slot.param.trainable for slot in slots.values())
    params = {name: _known(slot, trains) for name, slot in slots.items()}
    aliases = {alias: name for name, param in params.items() for alias in param.aliases}
    given = given_by_name(params, overrides, aliases)
    graph, notes = _traced(adapter, model, inputs, rename, required=chosen.needs_graph)
    if graph is None and chosen.needs_graph:
        raise FaninError(f"recipe {chosen.name} needs a run of the model: {_PASS_INPUTS}.")
    choices = chosen.choose(params, graph, given)
    rows = [_row(slot, _decided(slot, choices, given, unplaced, trains)) for slot in slots.values()]
    if not rows:
        notes.append("the model has no parameters, so there is nothing to draw.")
    elif inputs is None and initializer is None:
        notes.append(f"made without inputs: {_TREE}")
    factor = 1.0 if graph is None else dropout_factor(graph)
    if factor > _DROPOUT:
        notes.append(
            f"planned for training: dropout makes second moments up to {factor:.3g} times as large "
            "there, so that those in eval mode are smaller by as much."
        )
    notes += _of_values(adapter, model, graph, list(slots.values()), rows)
    notes += _overruled(slots.values(), rows, given)
    guessed = [row.name for row in rows if row.why.startswith(GUESS)]
    if guessed:
        notes.append(f"guessed, for no run showed their use: {listed(guessed)}")
    return Plan(chosen.name, tuple(rows), tuple(notes), prefix=prefix)


def _changed(slot: Any, row: Row) -> bool:
    """Whether a kept parameter has other values than when fanin first kept it."""
    before = slot.origin.digest if row.initializer is None and slot.origin else None
    return before is not None and row.kept != before


def _of_values(
    adapter: Any, model: Any, graph: Graph | None, slots: list[Any], rows: list[Row]
) -> list[str]:
    """Notes of values that are the constructor's, or training's, and not the seed's."""
    notes = []
    unseeded = [row.name for row in rows if row.why.endswith(UNSEEDED)]
    if unseeded:
        notes.append(
            f"whatever the seed, the constructor's values stay in {listed(unseeded)}. If it drew "
            "them by chance, pass overrides=, or build the model under fanin.empty_weights(), "
            "which sees how it draws."
        )
    chance = [] if graph is None else adapter.chance_buffers(model)
    if chance:
        notes.append(
            f"the plan reads {listed(chance)}, whose values look drawn: with others it may differ. "
            "Build the model under fanin.empty_weights(), which sees how they are drawn."
        )
    trained = [
        slot.param.name for slot, row in zip(slots, rows, strict=True) if _changed(slot, row)
    ]
    if trained:
        notes.append(
            f"{listed(trained)} stay as they are, which is not as the constructor made them: they "
            "were trained or loaded, and are too large for fanin to have remembered."
        )
    return notes


def _overruled(
    slots: Iterable[Any], rows: Iterable[Row], given: Mapping[str, Initializer]
) -> list[str]:
    """Notes of what the constructor made constant, and the plan sets to something else.

    Scales of one and biases of zero are what all layers have.
    """
    found: dict[tuple[float, str], list[str]] = {}
    for slot, row in zip(slots, rows, strict=True):
        param: Param = slot.param
        usual = 1 if param.kind == "scale" else 0 if param.kind in ("bias", "shift") else None
        if param.made in (None, usual) or row.initializer is None or param.name in given:
            continue
        if param.kind != "magnitude" and row.initializer != same(param.made):
            found.setdefault((param.made, str(row.initializer)), []).append(row.name)
    return [
        f"the constructor made {made:g} of {listed(names)}; the plan says {said}. Pass "
        "overrides= to have it otherwise."
        for (made, said), names in found.items()
    ]


def _traced(
    adapter: Any, model: Any, inputs: Any, rename: Mapping[str, str] | None, *, required: bool
) -> tuple[Graph | None, list[str]]:
    """The graph of a run, if there can be one, and what to say of it."""
    if inputs is None:
        return None, []
    try:
        graph: Graph = adapter.trace(model, inputs, rename)
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


def initialize(
    model: Any,
    seed: int = 0,
    inputs: Any = None,
    recipe: str | Recipe = "auto",
    *,
    initializer: str | Initializer | None = None,
    overrides: Overrides | None = None,
    unplaced: str = "error",
    rename: Mapping[str, str] | None = None,
    shards: Mapping[str, Any] | None = None,
    device: Any = None,
    buffers: Mapping[str, Any] | None = None,
    prefix: str = "",
) -> Plan:
    """Give every parameter of a model its values, in place.

    A value depends on nothing but `seed`, the parameter's name and the element's index: the
    same bits on every machine and under every sharding.

    Args:
        model: a torch.nn.Module, which may be on the meta device or built empty; sharded, too,
            where there are no inputs.
        seed: an integer in [0, 2**64).
        inputs: what the model is called with: a tensor, a tuple (positional) or a dict
            (keywords). The model runs once on fake tensors of these shapes (for "lsuv", once and
            more on the values). Without inputs the module tree decides, and the plan says so.
        recipe: "auto" or another name of `fanin.recipes.names()`, or a Recipe.
        initializer: instead of a recipe, one initializer for all weights; biases start at zero
            and normalizations as the identity.
        overrides: initializers by parameter name or glob pattern; they win. A key that is a
            parameter's name wins over patterns; of patterns the last match counts.
        unplaced: "error", or "keep" for parameters that no rule places.
        rename: canonical names by the model's own, where only the user knows them.
        shards: (global shape, index) by name, of local tensors that are no DTensors.
        device: where weights that have no memory yet are made.
        buffers: values by name, of buffers that were built on the meta device.
        prefix: stands before every name when values are drawn, "critic1" say: models of equal
            names get other values of the same seed.

    Returns the applied plan. Raises FaninError, with the model untouched, for whatever it cannot
    place or write. Warns, with a FaninWarning, as `Plan.apply` does, and where the model has no
    parameters at all.

    >>> import fanin, torch
    >>> layers = torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10)
    >>> model = torch.nn.Sequential(*layers)
    >>> applied = fanin.initialize(model, seed=0, inputs=torch.zeros(1, 784))
    >>> [str(row.initializer) for row in applied.values()]
    ['lecun_normal()', 'zeros()', 'he_normal()', 'zeros()']
    >>> applied.seed
    0
    """
    _check_seed(seed)
    slots = adapter_for(model).slots(
        model, rename=rename, shards=shards, device=device, prefix=prefix
    )
    made = _planned(model, slots, seed, inputs, recipe, initializer, overrides, unplaced, rename)
    if not made.rows:
        warn(
            f"{type(model).__name__} has no parameters, so nothing was drawn. Of a quantized or "
            "packed model, initialize the one that it was made from."
        )
    return made._write(model, slots, seed, device, buffers)


def _check_seed(seed: Any) -> None:
    """A model's inputs come third here, and second in `plan` and in other libraries."""
    try:
        check_seed(seed)
    except FaninError as error:
        if isinstance(seed, tuple | list | Mapping) or hasattr(seed, "shape"):
            raise FaninError(
                f"{error} The inputs come third: fanin.initialize(model, 0, inputs), or inputs=."
            ) from None
        raise


def _known(slot: Any, trains: bool) -> Param:
    """The parameter, with the size of its values where it is frozen beside others that train."""
    param: Param = slot.param
    if param.trainable and param.made is None and slot.vacancy is None:
        param = replace(param, read=partial(_typical, slot))
    if not trains or param.trainable or not slot.has_value:
        return param
    mean, std = slot.moments()
    return replace(param, kept=math.hypot(mean, std))


def _typical(slot: Any) -> Any:
    """The values of a parameter, or of such draws as its constructor makes, if it drew them."""
    adapter_for(slot.homes[0][0]).find_origin(slot)
    return slot.read()


def _refuse_sharded(slots: Iterable[Any]) -> None:
    """A sharded model runs collectives, which a run without memory cannot."""
    for slot in slots:
        if slot.shard is not None:
            raise FaninError(
                f"{slot.param.name} of shape {slot.param.shape} is sharded, and a sharded model "
                "cannot be traced. Make the plan before sharding, plan = fanin.plan(model, "
                "inputs), then plan.apply(sharded, seed)."
            )


def _decided(
    slot: Any,
    choices: Mapping[str, Choice],
    given: Mapping[str, Initializer],
    unplaced: str,
    trains: bool,
) -> Choice:
    param: Param = slot.param
    choice = choices.get(param.name)
    if param.name in given:
        axes = choice.axes if choice else None
        role = choice.role if choice else param.kind
        lr = choice.lr if choice else 1.0  # of the parametrization, whatever the values
        return Choice(given[param.name], role, "as the override says", axes, lr=lr)
    if trains and not param.trainable:
        role = choice.role if choice else param.kind
        if slot.has_value:
            return Choice(None, role, "frozen, so kept as it is")
        if param.made is None:
            raise FaninError(
                f"{param.name} of shape {param.shape} is frozen, and the model was built without "
                "the values that its constructor draws for it. Give it an initializer in "
                "overrides=, or build the model with its memory."
            )
        return Choice(same(param.made), role, "frozen, and made so")
    guess = choice is not None and choice.why.startswith(GUESS)
    if choice is not None and not (guess and unplaced == "keep" and slot.has_value):
        return _told(slot, choice)
    if unplaced == "keep" and slot.has_value:
        return Choice(None, param.kind, f"no rule places it; kept, {ASKED}")
    advice = ", or unplaced='keep'" if unplaced == "error" else "; it has no value to keep"
    raise FaninError(
        f"{param.name} has shape {param.shape} in {an(param.owner)}, for which there is no rule. "
        f"Pass overrides={{{param.name!r}: 'normal(std=0.02)'}}, say{advice}."
    )


def _told(slot: Any, choice: Choice) -> Choice:
    """The choice, which says where a kept value may have been drawn by the constructor."""
    if choice.initializer is not None or slot.param.made is not None or slot.param.kind == "norms":
        return choice
    if slot.vacancy is None:
        adapter_for(slot.homes[0][0]).find_origin(slot)
    if slot.drawn is not None:
        return replace(choice, why=choice.why + REDRAWN)
    known = slot.has_value if slot.vacancy is not None else slot.origin and slot.origin.computed
    return choice if known else replace(choice, why=choice.why + UNSEEDED)


def _row(slot: Any, choice: Choice) -> Row:
    param: Param = slot.param
    kept = None
    if choice.initializer is None and slot.has_value and slot.shard is None:
        kept = None if slot.drawn is not None else slot.digest()
    return Row(
        name=param.name,
        shape=param.shape,
        dtype=param.dtype,
        role=choice.role,
        initializer=choice.initializer,
        axes=param.axes if choice.axes is None else choice.axes,
        why=choice.why,
        aliases=param.aliases,
        output=choice.output,
        kept=kept,
        lr=choice.lr,
        averaged=choice.averaged,
        zero_row=slot.padding_row,
    )
