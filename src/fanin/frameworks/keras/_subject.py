"""Subject: models of Keras that a factory makes, and what they are run on."""

import random
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from fanin.errors import FaninError
from fanin.frameworks._adapter import Subject
from fanin.frameworks.keras._walk import layers_of, refuse_unbuilt


def subject(model: Any) -> Subject:
    """A model to check: one that Keras runs on JAX or torch."""
    refuse_unbuilt(model, layers_of(model))
    backend = keras.config.backend()
    if backend == "jax":
        from fanin.frameworks.keras import _on_jax

        return _on_jax.subject(model)
    if backend == "torch":
        from fanin.frameworks.keras import _on_torch

        return _on_torch.Subject(model)
    raise FaninError(
        f"fanin.check of a Keras model runs it on JAX or torch, and Keras computes with {backend} "
        "here. Start with KERAS_BACKEND=jax or torch."
    )


def build(factory: Callable[[], Any], seed: int) -> Any:
    """What a factory makes when Keras's random states start from this seed.

    Those of Python and NumPy are put back; Keras's own, which it does not show, are not.
    """
    states = random.getstate(), np.random.get_state()
    try:
        keras.utils.set_random_seed(seed % 2**32)
        model = factory()
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
    return model


def place(values: Any, model: Any) -> Any:
    """An array, or several in a tuple, as tensors of the back end; real ones in the model's type.

    None stays None.
    """
    if isinstance(values, tuple):
        return tuple(place(value, model) for value in values)
    if values is None:
        return None
    real = np.issubdtype(values.dtype, np.floating)
    return keras.ops.convert_to_tensor(values, dtype=model.variable_dtype if real else None)
