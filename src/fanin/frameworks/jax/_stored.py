"""Stored: the arrays of a JAX model for a file, under the paths of its library's own tree."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from fanin.errors import FaninError
from fanin.frameworks._naming import put
from fanin.frameworks._stored import HowDrawn, Stored, make_stored, part_of_value
from fanin.frameworks.jax.doors._door import Door
from fanin.frameworks.jax.tree._held import is_abstract
from fanin.frameworks.jax.write._slot import Slot


def list_stored(
    door: Door,
    names: Sequence[str],
    slots: Mapping[str, Slot],
    choices: Mapping[str, HowDrawn],
    seed: int,
) -> tuple[list[Stored], dict[str, str]]:
    """The arrays of a model, which have these canonical names, and other paths of the same.

    Keys and counts of random numbers are no weights, and left out.
    """
    found: dict[str, Stored] = {}
    same: dict[str, str] = {}
    started = door.start(seed)
    for at, (item, own, name) in enumerate(zip(door.held, door.tree_names, names, strict=True)):
        value = started.get(at, item.value)
        if item.random or jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
            continue
        name = name if item.trained else own
        if item.trained:
            initializer, axes = choices[name]
            slots[name].rehearse(initializer, seed, axes)
            source = slots[name].source(initializer, seed, axes)
        else:
            source = part_of_value(_require_value(own, value))
        dtype = np.dtype(value.dtype).name
        entry = make_stored(own, name, dtype, tuple(value.shape), source)
        put(found, own, entry, _shape_of, "name the parts of the tree apart")
        same |= {".".join(path): own for path in item.aliases}
    return list(found.values()), same


def _require_value(own: str, value: Any) -> Any:
    if is_abstract(value):
        raise FaninError(
            f"{own} of shape {tuple(value.shape)} is abstract and no parameter, so nothing says "
            "its value. Let the factory make it with one."
        )
    return value


def _shape_of(entry: Stored) -> tuple[int, ...]:
    return entry.shape
