"""Compiled: the loss that a model of Keras was compiled with, as a checkup calls one."""

from collections.abc import Callable
from typing import Any

import keras

LossOfModel = Callable[[Any, Any], Any]


def find_loss(model: Any) -> LossOfModel | None:
    """A function of the output and the targets; None of a model compiled with none, or several."""
    given = getattr(model, "loss", None) if getattr(model, "compiled", False) else None
    if not isinstance(given, str) and not callable(given):
        return None
    measure = keras.losses.get(given)
    return lambda output, targets: keras.ops.mean(measure(targets, output))
