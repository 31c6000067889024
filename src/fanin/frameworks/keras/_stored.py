"""Stored: the variables of a Keras model for a file, under the paths of Keras's weight files."""

from collections.abc import Mapping

import keras

from fanin.frameworks._stored import HowDrawn, Stored, make_stored, part_of_value
from fanin.frameworks.keras._slot import Slot
from fanin.frameworks.keras._values import as_array
from fanin.frameworks.keras._walk import layers_of


def list_stored(
    model: keras.Layer, slots: Mapping[str, Slot], choices: Mapping[str, HowDrawn], seed: int
) -> tuple[list[Stored], dict[str, str]]:
    """The variables of a model's layers, and other paths of the same; random states left out."""
    known = {id(slot.variable): slot for slot in slots.values()}
    found: dict[int, Stored] = {}
    same: dict[str, str] = {}
    for path, layer in layers_of(model).items():
        above = path.replace(".", "/") + "/" if path else ""
        variables = [*layer._trainable_variables, *layer._non_trainable_variables]
        for at, variable in enumerate(variables):
            own = f"{above}vars/{at}"
            if id(variable) in found:
                same[own] = found[id(variable)].name
            else:
                found[id(variable)] = _entry(own, variable, known.get(id(variable)), choices, seed)
    return list(found.values()), same


def _entry(
    own: str,
    variable: keras.Variable,
    slot: Slot | None,
    choices: Mapping[str, HowDrawn],
    seed: int,
) -> Stored:
    shape = tuple(map(int, variable.shape))
    dtype = keras.backend.standardize_dtype(variable.dtype)
    if slot is None:
        return make_stored(own, own, dtype, shape, part_of_value(as_array(variable.value)))
    initializer, axes = choices[slot.param.name]
    slot.rehearse(initializer, seed, axes)
    source = slot.source(initializer, seed, axes)
    return make_stored(own, slot.param.name, dtype, shape, source, slot.gates)
