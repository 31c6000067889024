"""Restart: running statistics made anew for normalizations whose neighbours were drawn."""

from collections.abc import Collection, Mapping
from typing import Any

import keras
import numpy as np

from fanin.frameworks.keras._values import as_array


def restart(layers: Mapping[str, Any], drawn: Collection[int]) -> list[str]:
    """Start running statistics anew, as the layer's initializers make them.

    Of batch normalizations whose variables were drawn, by their ids; one without any goes with
    the layer that holds it. Returns the names of those whose statistics had moved.
    """
    moved = []
    for path, layer in layers.items():
        if not isinstance(layer, keras.layers.BatchNormalization) or not layer.built:
            continue
        holder = layer if layer._trainable_variables else _above(path, layers)
        if any(id(variable) in drawn for variable in holder.variables) and _put_back(layer):
            moved.append(path or type(layer).__name__)
    return moved


def _put_back(layer: Any) -> bool:
    """Whether one of the statistics was another than at the start."""
    moved = False
    for leaf in ("moving_mean", "moving_variance"):
        variable = getattr(layer, leaf)
        start = getattr(layer, f"{leaf}_initializer")(variable.shape, dtype=variable.dtype)
        if not np.array_equal(as_array(variable.value), as_array(start)):
            variable.assign(start)
            moved = True
    return moved


def _above(path: str, layers: Mapping[str, Any]) -> Any:
    """The layer that holds another one, itself or in a list."""
    while path:
        path = path.rpartition(".")[0]
        if path in layers:
            return layers[path]
    return layers[""]
