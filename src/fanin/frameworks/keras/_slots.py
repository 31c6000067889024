"""Slots: every trained variable of a model, with its name, its role and its values."""

from collections.abc import Mapping
from typing import Any

import keras

from fanin.frameworks._naming import put, rename_all
from fanin.frameworks.keras._activations import activations
from fanin.frameworks.keras._roles import find_constant, find_initializer, find_role, role_of
from fanin.frameworks.keras._slot import Slot
from fanin.frameworks.keras._walk import Place, layers_of, parameters, refuse_unbuilt
from fanin.param import Param

Placed = tuple[Any, list[Place]]  # a variable, and the layers that hold it


def places_of(model: Any, rename: Mapping[str, str] | None = None) -> dict[str, Placed]:
    """The trained variables by canonical name, in the model's order, each with its places.

    A variable that layers share goes under the table's name, else that of a layer of Keras, such
    as one in a wrapper, else the first in the walk.
    """
    layers = layers_of(model)
    refuse_unbuilt(model, layers)
    found = parameters(layers)
    order = {id(variable): at for at, variable in enumerate(model.variables)}
    places: dict[str, Placed] = {}
    for key in sorted(found, key=lambda item: order.get(item, len(order))):
        uses = sorted(found[key], key=_rank)  # stable
        placed = (uses[0].variable, uses)
        put(places, uses[0].name, placed, _shape_of, "keep one in another attribute")
    others = {place.name: name for name, (_, uses) in places.items() for place in uses[1:]}
    return rename_all(places, rename, others, _shape_of)


def _rank(place: Place) -> int:
    role = find_role(place.layer, place.leaf, tuple(place.variable.shape))
    return 2 if role is None else int(role.kind != "table")


def _shape_of(placed: Placed) -> tuple[int, ...]:
    return tuple(placed[0].shape)


def slots(model: Any, rename: Mapping[str, str] | None = None, prefix: str = "") -> list[Slot]:
    """Every trained variable of a model once, in the model's order, by its canonical name."""
    places = places_of(model, rename)
    before = activations(layers_of(model))
    return [_slot(name, *placed, before, prefix) for name, placed in places.items()]


def _slot(
    name: str, variable: Any, uses: list[Place], before: Mapping[int, Any], prefix: str
) -> Slot:
    place = uses[0]
    shape = tuple(map(int, variable.shape))
    made = find_constant(place.layer, place.leaf, variable)
    role = role_of(place.layer, place.leaf, shape, made)
    param = Param(
        name=name,
        shape=shape,
        dtype=keras.backend.standardize_dtype(variable.dtype),
        kind=role.kind,
        owner=type(place.layer).__name__,
        axes=role.axes,
        aliases=tuple(dict.fromkeys(use.name for use in uses[1:])),
        constant=made,
        trainable=bool(variable.trainable),
        activation=before.get(id(place.layer)) if role.kind == "weight" else None,
        head=role.kind == "table" and _is_head(uses),
    )
    told = made is not None and find_initializer(place.layer, place.leaf) is not None
    return Slot(param, variable, role.gates, prefix, is_computed=told)


def _is_head(uses: list[Place]) -> bool:
    """Whether a table is the weight of the last layer, too."""
    return any(getattr(use.layer, "tie_weights", False) for use in uses) or any(
        isinstance(use.layer, keras.layers.Dense) for use in uses
    )
