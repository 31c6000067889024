"""The verbs of the adapter: which door a JAX model goes through."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from fanin.errors import FaninError, quote
from fanin.frameworks._adapter import Subject
from fanin.frameworks._functional import Functional
from fanin.frameworks._naming import check_prefix
from fanin.frameworks.jax._target import Target
from fanin.frameworks.jax.doors._door import Door


def target(
    model: Any,
    *,
    rename: Mapping[str, str] | None = None,
    shards: Mapping[str, object] | None = None,
    device: Any = None,
    prefix: str = "",
) -> Target:
    """A model to plan for, or to draw new arrays of."""
    for name, given, advice in (
        ("shards", shards, "JAX arrays say by their .sharding what each device holds"),
        ("device", device, "give abstract arrays a .sharding, or call under jax.default_device"),
    ):
        if given is not None:
            raise FaninError(f"{name} is {quote(given)}; of JAX models leave it out: {advice}.")
    inputs = model.inputs if isinstance(model, Functional) else None
    return Target(_door(model), rename, check_prefix(prefix), inputs)


def _door(model: Any) -> Door:
    """The door of a model; a library's is loaded only where the user has imported it."""
    inner = model.model if isinstance(model, Functional) else model
    if _is_of(inner, "equinox"):
        from fanin.frameworks.jax.doors._equinox import Equinox

        return Equinox(_functional(model))
    if _is_of(inner, "flax.linen"):
        from fanin.frameworks.jax.doors._linen import Linen

        return Linen(_functional(model))
    if isinstance(model, Functional):
        from fanin.frameworks.jax.doors._function import FunctionDoor

        return FunctionDoor(model)
    from fanin.frameworks.jax.doors._nnx import Nnx

    return Nnx(model)


def _functional(model: Any) -> Functional:
    return model if isinstance(model, Functional) else Functional(model)


def _is_of(model: Any, package: str) -> bool:
    module = sys.modules.get(package)
    return module is not None and isinstance(model, module.Module)


def subject(model: Any) -> Subject:
    """A model to check; FaninError where a parameter has no values."""
    from fanin.frameworks.jax.observe._subject import subject_of

    return subject_of(_door(model), model)


def build(factory: Callable[[], Any], seed: int) -> Any:
    """What a factory makes: JAX has no random state that a seed could set."""
    return factory()


def place(values: Any, model: Any) -> Any:
    """Arrays as those of JAX, real ones in the type of the model's."""
    from fanin.frameworks.jax.observe._subject import place as placed

    return placed(values, model)
