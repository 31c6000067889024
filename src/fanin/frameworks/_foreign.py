"""Models of other libraries: what their users can do."""

from collections.abc import Mapping
from typing import Any

_JAX = "fanin.frameworks.jax.initializer('he_normal')"
_KERAS = "fanin.frameworks.keras.initializer('he_normal', seed=0, name='dense.weight')"

# What a user of another library can do, by the package of the model's class.
_ELSEWHERE = {
    "flax": f"Give Flax layers initializers, such as kernel_init={_JAX}.",
    "haiku": f"Give Haiku layers initializers, such as w_init={_JAX}.",
    "equinox": f"Draw its arrays by {_JAX}(key, shape) and put them in by equinox.tree_at.",
    "jax": f"Draw its arrays by {_JAX}(key, shape).",
    "jaxlib": f"Draw its arrays by {_JAX}(key, shape).",
    "keras": "Pass the Keras model or layer itself, built since Keras chose its back end; or give "
    f"layers initializers, such as kernel_initializer={_KERAS}.",
    "tensorflow": f"Give Keras layers initializers, such as kernel_initializer={_KERAS}.",
}


def foreign(model: Any) -> str:
    """What to do with a model, or a tree of arrays, of another library; "" if it is of none."""
    if isinstance(model, Mapping):
        return next((hint for hint in map(foreign, model.values()) if hint), "")
    for kind in type(model).__mro__:
        package = kind.__module__.partition(".")[0]
        if package in _ELSEWHERE:
            return _ELSEWHERE[package]
    return ""
