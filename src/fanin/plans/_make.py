"""plan and initialize: from a model to its plan, and to its weights."""

from collections.abc import Mapping
from typing import Any

from fanin._arguments import check_seed
from fanin.errors import FaninError, warn
from fanin.frameworks import adapter_for
from fanin.initializers import Initializer
from fanin.plans._plan import Plan
from fanin.plans._planned import Overrides, Wishes, planned
from fanin.recipes import Recipe


def plan(
    model: Any,
    inputs: Any = None,
    recipe: str | Recipe = "auto",
    *,
    initializer: str | Initializer | None = None,
    overrides: Overrides | None = None,
    unplaced: str = "error",
    rename: Mapping[str, str] | None = None,
    prefix: str = "",
) -> Plan:
    """Which initializer every parameter of a model gets, and why; nothing is written.

    Args:
        model: a torch.nn.Module, unsharded; it may be on the meta device or built empty.
        inputs: what the model is called with: a tensor, a tuple (positional) or a dict
            (keywords). The model runs once on fake tensors of these shapes, without memory or
            arithmetic. Without inputs the module tree decides, and the plan says so.
        recipe: "auto" or another name of `fanin.recipes.names()`, or a Recipe. "lsuv" draws with
            the seed (0 in `plan`) and measures on the inputs.
        initializer: instead of a recipe, one initializer for all weights; biases start at zero
            and normalizations as the identity.
        overrides: initializers by parameter name or glob pattern; they win. A key that is a
            parameter's name wins over patterns; of patterns the last match counts.
        unplaced: "error", or "keep" for parameters that no rule places.
        rename: canonical names by the model's own, where only the user knows them.
        prefix: stands before every name when values are drawn, "critic1" say: models of equal
            names get other values of the same seed. The plan keeps it.

    Returns the Plan, which prints as a table. Raises FaninError that names the parameter, its
    shape and what to do.

    >>> import fanin, torch
    >>> layers = torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10)
    >>> made = fanin.plan(torch.nn.Sequential(*layers), torch.zeros(1, 784))
    >>> print(made["2.weight"])
    2.weight (10, 256) float32: he_normal()
    >>> made["2.weight"].why
    'input through relu has second moment 0.5; the head'
    """
    target = adapter_for(model).target(model, rename=rename, prefix=prefix)
    return planned(target, Wishes(inputs, recipe, initializer, overrides, unplaced), seed=0)


def initialize(
    model: Any,
    seed: int = 0,
    inputs: Any = None,
    recipe: str | Recipe = "auto",
    *,
    initializer: str | Initializer | None = None,
    overrides: Overrides | None = None,
    unplaced: str = "error",
    rename: Mapping[str, str] | None = None,
    shards: Mapping[str, Any] | None = None,
    device: Any = None,
    buffers: Mapping[str, Any] | None = None,
    prefix: str = "",
) -> Plan:
    """Give every parameter of a model its values, in place.

    A value depends on nothing but `seed`, the parameter's name and the element's index: the
    same bits on every machine and under every sharding.

    Args:
        model: a torch.nn.Module, which may be on the meta device or built empty; sharded, too,
            where there are no inputs.
        seed: an integer in [0, 2**64).
        inputs: what the model is called with: a tensor, a tuple (positional) or a dict
            (keywords). The model runs once on fake tensors of these shapes (for "lsuv", once and
            more on the values). Without inputs the module tree decides, and the plan says so.
        recipe: "auto" or another name of `fanin.recipes.names()`, or a Recipe.
        initializer: instead of a recipe, one initializer for all weights; biases start at zero
            and normalizations as the identity.
        overrides: initializers by parameter name or glob pattern; they win. A key that is a
            parameter's name wins over patterns; of patterns the last match counts.
        unplaced: "error", or "keep" for parameters that no rule places.
        rename: canonical names by the model's own, where only the user knows them.
        shards: (global shape, index) by name, of local tensors that are no DTensors.
        device: where weights that have no memory yet are made.
        buffers: values by name, of buffers that were built on the meta device.
        prefix: stands before every name when values are drawn, "critic1" say: models of equal
            names get other values of the same seed.

    Returns the applied plan. Raises FaninError, with the model untouched, for whatever it cannot
    place or write. Warns, with a FaninWarning, as `Plan.apply` does, and where the model has no
    parameters at all.

    >>> import fanin, torch
    >>> layers = torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10)
    >>> model = torch.nn.Sequential(*layers)
    >>> applied = fanin.initialize(model, seed=0, inputs=torch.zeros(1, 784))
    >>> [str(row.initializer) for row in applied.values()]
    ['lecun_normal()', 'zeros()', 'he_normal()', 'zeros()']
    >>> applied.seed
    0
    """
    _check_seed(seed)
    target = adapter_for(model).target(
        model, rename=rename, shards=shards, device=device, prefix=prefix
    )
    made = planned(target, Wishes(inputs, recipe, initializer, overrides, unplaced), seed)
    if not made.rows:
        warn(
            f"{type(model).__name__} has no parameters, so nothing was drawn. Of a quantized or "
            "packed model, initialize the one that it was made from."
        )
    return made._write(target, seed, buffers)


def _check_seed(seed: Any) -> None:
    """A model's inputs come third here, and second in `plan` and in other libraries."""
    try:
        check_seed(seed)
    except FaninError as error:
        if isinstance(seed, tuple | list | Mapping) or hasattr(seed, "shape"):
            raise FaninError(
                f"{error} The inputs come third: fanin.initialize(model, 0, inputs), or inputs=."
            ) from None
        raise
