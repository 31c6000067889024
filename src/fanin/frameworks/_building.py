"""Building: the model that a factory makes, with its parameters where it does not hold them."""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from fanin.errors import FaninError
from fanin.frameworks._detect import FRAMEWORKS, Framework, framework_of, open_model

# Those whose constructors draw from a random state.
_WITH_STATES = ("keras", "torch")

Factory = Callable[[], Any]


class FactoryModel(NamedTuple):
    """What a factory returned: a model, and the parameters beside one that holds none."""

    model: Any
    params: Any = None


def take_apart(made: Any) -> FactoryModel:
    """A model, or a pair of a model and its parameters; FaninError for anything else."""
    if framework_of(made) is not None:  # a pair may be a model of NNX
        return FactoryModel(made)
    if isinstance(made, tuple) and len(made) == 2 and callable(made[0]) and made[1] is not None:
        return FactoryModel(*made)
    raise FaninError(
        f"the factory returned {type(made).__name__}; it must return a torch.nn.Module, a "
        "keras.Layer, a module of Flax NNX or Equinox, or a pair: a module of Flax Linen and its "
        "variables, or a function and its parameters."
    )


def build_model(factory: Factory, seed: int) -> Any:
    """The model that a factory makes when the random states of its framework start from a seed.

    A function does not show whose model it makes, so it may be called again, under other states.
    """
    known = ["torch"] if "torch" in sys.modules else []
    while True:
        build = factory
        for name in known:
            build = partial(FRAMEWORKS[name].adapter().build, build, seed)
        model, params = take_apart(build())
        found = framework_of(model)
        if params is None and found is FRAMEWORKS["flax.linen"]:
            raise FaninError(
                f"the factory returned {type(model).__name__}, a module of Flax Linen, which holds "
                "no values. Return it with its variables: (model, model.init(key, x))."
            )
        own = [name for name in _WITH_STATES if FRAMEWORKS[name] is found]
        if set(known).issuperset(own):
            return open_model(model, params)
        known += own


def build_empty(factory: Factory, *, empty: bool, dtype: str | None) -> FactoryModel:
    """What a factory makes; a model of torch without memory if `empty`, and of this type.

    It may be called again, as it does not show whose model it makes.
    """
    torch = FRAMEWORKS["torch"]
    # Keras cannot be built without memory, whatever computes for it.
    as_torch = empty and "torch" in sys.modules and "keras" not in sys.modules
    for _ in range(2):
        made = take_apart(_call_empty(factory) if as_torch else factory())
        found = framework_of(made.model)
        if not empty or as_torch is (found is torch):
            break
        as_torch = not as_torch
    if dtype is not None:
        _retype(made.model, found, dtype)
    return made


def _call_empty(factory: Factory) -> Any:
    from fanin.frameworks.torch import call_empty

    return call_empty(factory)


def _retype(model: Any, found: Framework | None, dtype: str) -> None:
    if found is not FRAMEWORKS["torch"]:
        raise FaninError(
            f"dtype is {dtype}, and the factory makes {type(model).__name__}, no torch.nn.Module. "
            "Let the factory give its layers the type: param_dtype= in Flax, dtype= in Equinox "
            "and Keras."
        )
    from fanin.frameworks.torch import retype

    retype(model, dtype)
