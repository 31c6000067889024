"""Walk: the layers of a model by the paths that Keras's own weight files give them.

`variable.path` counts every layer that the process ever made (`dense_3`), so it is no name. The
files walk the attributes instead, and number the layers of one container by their class:
`layers/dense_1/vars/0`.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
from keras.src.saving.keras_saveable import KerasSaveable
from keras.src.saving.saving_lib import _walk_saveable
from keras.src.utils.naming import to_snake_case

from fanin._columns import list_names
from fanin.errors import FaninError

# What a compiled model holds beside its layers.
_BESIDE = (keras.optimizers.Optimizer, keras.losses.Loss, keras.metrics.Metric)

# Keras's names of what torch calls weight and bias.
_LEAVES = {
    "kernel": "weight",
    "embeddings": "weight",
    "gamma": "weight",
    "scale": "weight",
    "beta": "bias",
}


class Place(NamedTuple):
    """A variable in the layer that made it: its canonical name, and Keras's own last part."""

    name: str
    layer: Any
    leaf: str
    variable: Any


def layers_of(model: Any) -> dict[str, Any]:
    """Every layer once, by its dotted path in weight files; the model itself is ""."""
    found: dict[str, Any] = {}
    _walk(model, (), found, set())
    return found


def _walk(saveable: Any, path: tuple[str, ...], found: dict[str, Any], seen: set[int]) -> None:
    if id(saveable) in seen or isinstance(saveable, _BESIDE):
        return
    seen.add(id(saveable))
    if isinstance(saveable, keras.Layer):
        found[".".join(path)] = saveable
    for attribute, child in _walk_saveable(saveable):
        if isinstance(child, KerasSaveable):
            _walk(child, (*path, attribute), found, seen)
        elif isinstance(child, list | dict | tuple):
            _walk_container(child, (*path, attribute), found, seen, set())


def _walk_container(
    container: Any,
    path: tuple[str, ...],
    found: dict[str, Any],
    seen: set[int],
    above: set[int],
) -> None:
    if id(container) in above:
        return
    above.add(id(container))
    counts: dict[str, int] = {}
    for item in [*container.values()] if isinstance(container, dict) else container:
        if isinstance(item, KerasSaveable):
            name = _count(to_snake_case(type(item).__name__), counts)
            _walk(item, (*path, name), found, seen)
        elif isinstance(item, list | dict | tuple):
            inner = (*path, _count("container", counts))
            _walk_container(item, inner, found, seen, above)


def _count(name: str, counts: dict[str, int]) -> str:
    """The name with how many of it came before in the same container."""
    counts[name] = counts.get(name, -1) + 1
    return f"{name}_{counts[name]}" if counts[name] else name


def parameters(layers: dict[str, Any]) -> dict[int, list[Place]]:
    """The places of every trained variable, by its id; more than one where layers share it."""
    return _places(layers, "_trainable_variables")


def buffers(layers: dict[str, Any]) -> dict[int, list[Place]]:
    """The places of variables that no gradient changes, such as running statistics."""
    return _places(layers, "_non_trainable_variables")


def _places(layers: dict[str, Any], kept_in: str) -> dict[int, list[Place]]:
    found: dict[int, list[Place]] = {}
    for path, layer in layers.items():
        own: dict[int, str] = {}
        for leaf, variable in _held(layer):
            own.setdefault(id(variable), leaf)
        variables = getattr(layer, kept_in)
        leaves = [own.get(id(item), f"vars.{at}") for at, item in enumerate(variables)]
        common = [_LEAVES.get(leaf, leaf) for leaf in leaves]
        # Of a layer that has both, such as kernel and scale, each keeps its own name.
        for leaf, name, variable in zip(leaves, common, variables, strict=True):
            # Of a layer that has both, such as kernel and scale, each keeps its own name.
            name = name if common.count(name) == 1 else leaf
            whole = f"{path}.{name}" if path else name
            found.setdefault(id(variable), []).append(Place(whole, layer, leaf, variable))
    return found


def _held(layer: Any) -> Iterator[tuple[str, Any]]:
    """The variables in a layer's attributes, then those in lists and dicts in these.

    One that is kept as `_kernel` is the kernel.
    """
    for attribute, value in vars(layer).items():
        if isinstance(value, keras.Variable):
            yield attribute.removeprefix("_"), value
    for attribute, value in vars(layer).items():
        if isinstance(value, list | tuple | dict) and attribute not in _TRACKED:
            leaf = attribute.removeprefix("_")
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            yield from ((f"{leaf}.{at}", v) for at, v in pairs if isinstance(v, keras.Variable))


# Lists in which Keras keeps all variables of a layer.
_TRACKED = ("_trainable_variables", "_non_trainable_variables")


def refuse_unbuilt(model: Any, layers: dict[str, Any]) -> None:
    """FaninError for layers that have no variables yet, or variables that have no value."""
    unbuilt = [path or type(model).__name__ for path, layer in layers.items() if _waits(layer)]
    if unbuilt:
        raise FaninError(
            f"{list_names(unbuilt)} {'has' if len(unbuilt) == 1 else 'have'} no variables yet: "
            "call model.build(input_shape), or the model once on an input, model(x), and again."
        )
    empty = [
        place.name
        for places in parameters(layers).values()
        for place in places
        if getattr(place.variable.value, "is_meta", False)
    ]
    if empty:
        raise FaninError(
            f"{list_names(empty)} {'has' if len(empty) == 1 else 'have'} no memory, as the model "
            'was built under keras.device("meta"). Build it on the device that it is to be on.'
        )


def _waits(layer: Any) -> bool:
    """Whether a layer's build is still to come, and makes something."""
    if any(variable._value is None for variable in layer._trainable_variables):
        return True
    return not layer.built and type(layer).build is not keras.Layer.build
