"""Which framework a model belongs to; only one that the user already imported can own it."""

import sys
from collections.abc import Callable
from functools import partial
from inspect import isroutine
from operator import attrgetter
from typing import Any, NamedTuple

from fanin.errors import FaninError
from fanin.frameworks._adapter import Adapter
from fanin.frameworks._foreign import foreign
from fanin.frameworks._functional import Functional


class Framework(NamedTuple):
    """A framework's class of models, by its path in the package, and what loads its adapter.

    `road` is the call that makes weights where models are never written into, its verb left open;
    "" where they are.
    """

    model: str
    adapter: Callable[[], Adapter]
    road: str = ""


def _torch() -> Adapter:
    from fanin.frameworks import torch as adapter

    return adapter


def _jax() -> Adapter:
    from fanin.frameworks.jax import _adapter as adapter

    return adapter


def _keras() -> Adapter:
    from fanin.frameworks.keras import _adapter as adapter

    return adapter


_WITH_PARAMS = "params, plan = {}(model, params, seed=0, inputs=x)"

# By the name of the package that has the class. Keras is asked before torch: where it computes
# with torch, its layers are modules, too.
FRAMEWORKS: dict[str, Framework] = {
    "keras": Framework("Layer", _keras),
    "torch": Framework("nn.Module", _torch),
    "equinox": Framework("Module", _jax, "model, plan = {}(model, seed=0, inputs=x)"),
    "flax.nnx": Framework("Module", _jax),
    "flax.linen": Framework("Module", _jax, _WITH_PARAMS),
}
# Whose layers store weights, as plans call it; "jax" where a function holds the user's own arrays.
LIBRARIES = (*dict.fromkeys(package.partition(".")[0] for package in FRAMEWORKS), "jax")


def adapter_for(model: Any) -> Adapter:
    """The adapter of the framework that `model` belongs to."""
    if isinstance(model, Functional):
        return _jax()
    found = framework_of(model)
    if found is not None:
        return found.adapter()
    hint = foreign(model)
    if isinstance(model, type):
        hint = "It is a class: call it, and pass what it makes."
    kinds = "a torch.nn.Module, a keras.Layer, or a module of Flax NNX, Flax Linen or Equinox"
    raise FaninError(f"model has type {type(model).__name__}; it must be {kinds}. {hint}".rstrip())


def framework_of(model: Any) -> Framework | None:
    """The framework of a model; None where it belongs to none that is known."""
    for package, framework in FRAMEWORKS.items():
        kind = _class_of(package, framework.model)
        if kind is not None and isinstance(model, kind):
            return framework
    if _is_abstract_nnx(model):
        return FRAMEWORKS["flax.nnx"]
    return None


def _is_abstract_nnx(model: Any) -> bool:
    """Whether it is what nnx.split and nnx.get_abstract_model return."""
    nnx = sys.modules.get("flax.nnx")
    pair = isinstance(model, tuple) and len(model) == 2
    return nnx is not None and pair and isinstance(model[0], nnx.GraphDef)


def functional(model: Any, params: Any = None, inputs: Any = None) -> Functional:
    """A model of which new parameters are made; FaninError for one that is written in place."""
    found = framework_of(model)
    if found is not None and not found.road:
        raise FaninError(
            f"{type(model).__name__} is written in place: plan = fanin.initialize(model, seed=0, "
            "inputs=x), or plan.apply(model)."
        )
    known = callable(model) and params is not None and not isinstance(model, type)
    if found is None and not known:
        raise FaninError(_no_function(model, params))
    return Functional(model, params, inputs)


def _no_function(model: Any, params: Any) -> str:
    if isinstance(model, type):
        return f"{model.__name__} is a class: call it, and pass what it makes."
    if callable(getattr(model, "apply", None)):
        return f"{type(model).__name__} is no function; pass its .apply, and the parameters."
    if not callable(model):
        return (
            f"model has type {type(model).__name__}; it must be a module of Equinox or Flax Linen, "
            f"or a function of parameters and inputs: {_road(_WITH_PARAMS)}."
        )
    return f"a function holds no parameters; pass its tree of arrays: {_road(_WITH_PARAMS)}."


def _road(road: str, verb: str = "fanin.initialize_params") -> str:
    return road.format(verb)


def open_model(model: Any, params: Any = None, inputs: Any = None) -> Any:
    """What an adapter is given: the model, or one that is never written with its parameters."""
    found = framework_of(model)
    if params is None and (found is None or not found.road):
        return model
    return functional(model, params, inputs)


def is_made_anew(model: Any) -> bool:
    """Whether nothing is written into such a model, so that new weights are a new one."""
    found = framework_of(model)
    return found is not None and bool(found.road)


def refuse_functional(model: Any, verb: str) -> None:
    """FaninError where nothing can be written into a model; `verb` makes a new one instead."""
    found = framework_of(model)
    plain = found is None and _is_function(model)
    road = _WITH_PARAMS if plain else "" if found is None else found.road
    if road:
        what = "a function" if plain else type(model).__name__
        made = " One that makes a model: call it, and pass what it makes." if plain else ""
        raise FaninError(
            f"{what} is never written in place, so new weights are a new tree: {_road(road, verb)}."
            f"{made}"
        )


def _is_function(model: Any) -> bool:
    compiled = type(model).__module__.partition(".")[0] in ("jax", "jaxlib")  # jit's
    return callable(model) and (compiled or isroutine(model) or isinstance(model, partial))


def _class_of(package: str, path: str) -> type | None:
    """The class of a package that is imported; None where it is not, or has none by this name."""
    try:
        found: type | None = attrgetter(path)(sys.modules.get(package))
    except AttributeError:  # half imported, or another version
        return None
    return found
