"""Models of other libraries: what their users can do."""

from collections.abc import Mapping
from typing import Any

_PARAMS = "params, plan = fanin.initialize_params(model, params, seed=0, inputs=x)"
_TREE = f"It is the arrays of a model; pass the module or the function, too: {_PARAMS}."
_KERAS = "fanin.frameworks.keras.initializer('he_normal', seed=0, name='dense.weight')"

# What a user of another library can do, by the package of the model's class.
_ELSEWHERE = {
    "flax": _TREE,
    "haiku": f"Pass the apply of what hk.transform returns: {_PARAMS}.",
    "equinox": "Pass the module that it belongs to.",
    "jax": _TREE,
    "jaxlib": _TREE,
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
