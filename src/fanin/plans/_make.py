"""plan, initialize, initialize_params: from a model to its plan, and to its weights."""

import os
import threading
from collections.abc import Mapping
from typing import Any

from fanin._arguments import check_seed
from fanin.errors import FaninError, warn
from fanin.frameworks import adapter_for, functional, open_model, refuse_functional
from fanin.initializers import Initializer
from fanin.plans._plan import Plan
from fanin.plans._planned import Overrides, Wishes, make_plan
from fanin.plans._resized import RowSelection
from fanin.plans._selection import Selection
from fanin.recipes import Recipe

# While a model is planned it holds fakes in place of its parameters: no two threads may do it.
_alone = threading.RLock()


def _renew() -> None:
    """In a child of a fork, where the thread that had the lock is not."""
    global _alone
    _alone = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def plan(
    model: Any,
    inputs: Any = None,
    recipe: str | Recipe = "auto",
    *,
    initializer: str | Initializer | None = None,
    overrides: Overrides | None = None,
    unplaced: str = "error",
    params: Any = None,
    rename: Mapping[str, str] | None = None,
    prefix: str = "",
    only: Selection | None = None,
    keep: Selection | None = None,
    rows: RowSelection | None = None,
    like: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Plan:
    """Which initializer every parameter of a model gets, and why; nothing is written.

    Args:
        model: a torch.nn.Module, unsharded, which may be on the meta device or built empty; a
            module of Flax NNX, Flax Linen or Equinox, or a function of parameters and inputs, with
            or without values.
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
        params: the variables of a Linen module, or the parameters of a function; abstract ones
            will do.
        rename: canonical names by the model's own, where only the user knows them.
        prefix: stands before every name when values are drawn, "critic1" say: models of equal
            names get other values of the same seed. The plan keeps it.
        only: the parameters to draw: a name or a glob pattern, a list of them (such as the
            missing keys of `load_state_dict`), or a function of a name. All others stay as they
            are and count with their size; on inputs with values, with what they make of them.
        keep: the parameters that stay as they are, in place of `only`.
        rows: of tables that have grown, the rows to draw: a slice by parameter name, or a plan of
            the model before, whose shapes tell. Rows are counted along the slowest axis of the
            canonical order, an embedding's first; the others stay, and so does all else unless
            `only` or `keep` says otherwise.
        like: copies by names or patterns, {"blocks.4.*": "blocks.3.*"} say: each gets the values
            of the other, which stay or are drawn; all else stays, as with `rows`.
        strict: raise where a value would be the constructor's, whatever the seed, in place of a
            warning; drawn buffers count, too.

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
    model = open_model(model, params, inputs)
    wishes = Wishes(
        inputs, recipe, initializer, overrides, unplaced, only, keep, rows, like, strict
    )
    with _alone:
        target = adapter_for(model).target(model, rename=rename, prefix=prefix)
        return make_plan(target, wishes, seed=0)


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
    only: Selection | None = None,
    keep: Selection | None = None,
    rows: RowSelection | None = None,
    like: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Plan:
    """Give every parameter of a model its values, in place.

    A value depends on nothing but `seed`, the parameter's name and the element's index: the
    same bits on every machine and under every sharding.

    Args:
        model: a torch.nn.Module, which may be on the meta device or built empty; sharded, too,
            where there are no inputs. Or a module of Flax NNX, abstract or not: each device draws
            its own shard. Of what is never written in place, modules of Equinox and Flax Linen and
            functions, `fanin.initialize_params` makes the weights.
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
        only: the parameters to draw, as of `fanin.plan`; all others stay as they are.
        keep: the parameters that stay as they are, in place of `only`.
        rows: rows of tables to draw alone, as of `fanin.plan`.
        like: parameters that get the values of others, as of `fanin.plan`.
        strict: raise where a value would be the constructor's, whatever the seed, in place of a
            warning; drawn buffers count, too.

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
    refuse_functional(model, "fanin.initialize_params")
    _check_seed(seed)
    wishes = Wishes(
        inputs, recipe, initializer, overrides, unplaced, only, keep, rows, like, strict
    )
    with _alone:
        target = adapter_for(model).target(
            model, rename=rename, shards=shards, device=device, prefix=prefix
        )
        made = make_plan(target, wishes, seed)
    if not made.rows:
        warn(
            f"{type(model).__name__} has no parameters, so nothing was drawn. Of a quantized or "
            "packed model, initialize the one that it was made from."
        )
    return made._write(target, seed, buffers)[1]


def initialize_params(
    model: Any,
    params: Any = None,
    *,
    seed: int = 0,
    inputs: Any = None,
    recipe: str | Recipe = "auto",
    initializer: str | Initializer | None = None,
    overrides: Overrides | None = None,
    unplaced: str = "error",
    rename: Mapping[str, str] | None = None,
    prefix: str = "",
    only: Selection | None = None,
    keep: Selection | None = None,
    rows: RowSelection | None = None,
    like: Mapping[str, str] | None = None,
    strict: bool = False,
) -> tuple[Any, Plan]:
    """The weights of a JAX model that nothing is written into: a new tree, and its plan.

    A value depends on nothing but `seed`, the parameter's name and the element's index: the same
    bits as those of a torch model with the same names, each device drawing its own shard.

    Args:
        model: a module of Equinox or Flax Linen, or any function `apply(params, *inputs)`, such
            as Haiku's.
        params: the variables of a Linen module, or the function's parameters; values are not
            read but of what is kept, so that abstract arrays will do (jax.eval_shape), whose
            .sharding says where each part is drawn. None of an Equinox module, which holds its
            own, and of a Linen module where `inputs` are given.
        seed: an integer in [0, 2**64).
        inputs: what the model is called with after its parameters: an array, abstract or not, a
            tuple (positional) or a dict (keywords); flags such as `train` go in the dict. An
            Equinox module takes one example, or else a batch, over which it is mapped. Without
            inputs the module tree decides, and the plan says so.
        recipe: "auto" or another name of `fanin.recipes.names()`, or a Recipe.
        initializer: instead of a recipe, one initializer for all weights; biases start at zero
            and normalizations as the identity.
        overrides: initializers by parameter name or glob pattern; they win. A key that is a
            parameter's name wins over patterns; of patterns the last match counts.
        unplaced: "error", or "keep" for parameters that no rule places.
        rename: canonical names by the model's own, where only the user knows them.
        prefix: stands before every name when values are drawn, "critic1" say: models of equal
            names get other values of the same seed.
        only: the parameters to draw, as of `fanin.plan`; all others stay as they are.
        keep: the parameters that stay as they are, in place of `only`.
        rows: rows of tables to draw alone, as of `fanin.plan`.
        like: parameters that get the values of others, as of `fanin.plan`.
        strict: raise where a value would be the constructor's, whatever the seed, in place of a
            warning; drawn buffers count, too.

    Returns the new tree, of the type of `params` (a module of Equinox), and the applied plan.
    Raises FaninError for whatever it cannot place or draw, and for a model that is written in
    place by `fanin.initialize`.

    >>> import fanin, jax
    >>> apply = lambda params, x: jax.nn.relu(x @ params["in"]["w"]) @ params["out"]["w"]
    >>> array = lambda *shape: jax.ShapeDtypeStruct(shape, "float32")
    >>> abstract = {"in": {"w": array(784, 256)}, "out": {"w": array(256, 10)}}
    >>> params, plan = fanin.initialize_params(apply, abstract, inputs=array(1, 784))
    >>> [str(row.initializer) for row in plan.values()]
    ['lecun_normal()', 'he_normal()']
    """
    model = functional(model, params, inputs)
    _check_seed(seed)
    target = adapter_for(model).target(model, rename=rename, prefix=prefix)
    wishes = Wishes(
        inputs, recipe, initializer, overrides, unplaced, only, keep, rows, like, strict
    )
    made = make_plan(target, wishes, seed)
    return made._write(target, seed)


def _check_seed(seed: Any) -> None:
    """A model's inputs come third here, and second in `plan` and in other libraries."""
    try:
        check_seed(seed)
    except FaninError as error:
        if "key<" in str(getattr(seed, "dtype", "")):  # jax.random.key's
            raise FaninError(
                f"{error} Keys are not split here: a value follows from the seed, the parameter's "
                "name and the index."
            ) from None
        if isinstance(seed, tuple | list | Mapping) or hasattr(seed, "shape"):
            raise FaninError(
                f"{error} The inputs come third: fanin.initialize(model, 0, inputs), or inputs=."
            ) from None
        raise
