"""Backward: a program's loss with the gradient at every node, compiled as one."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

from fanin.frameworks.jax.observe._evaluate import evaluate
from fanin.frameworks.jax.observe._follow import Following
from fanin.frameworks.jax.trace._trace import Followed
from fanin.frameworks.recording._record import ActivationTensor, TensorEntry

Array = Any


class BothWays(NamedTuple):
    """A run in NumPy: a loss, what nodes gave, and gradients of what the loss depends on."""

    loss: float
    nodes: Mapping[int, Array]
    gradients: Mapping[int, float]  # their norms, by node
    trained: Mapping[int, Array]  # by the position of the argument


def run_both_ways(
    followed: Followed,
    arguments: Sequence[Array],
    trained: Sequence[int],
    nodes: Collection[int],
    watched: Collection[int],
    loss: Callable[[Any], Array],
) -> BothWays:
    """Forward and backward: to each of these nodes a zero is added, whose gradient is taken."""
    assert isinstance(followed.run, Following)
    (way,) = followed.run.passes

    def forward(values: Any, zeros: Any, given: Sequence[Array]) -> tuple[Array, Any]:
        seen: dict[int, Array] = {}

        def show(entry: TensorEntry, value: Array) -> Array:
            at = entry.node if isinstance(entry, ActivationTensor) else -1
            if at not in nodes or at in seen or not jnp.issubdtype(value.dtype, jnp.inexact):
                return value
            seen[at] = value + zeros[at] if at in zeros else value
            return seen[at]

        own = dict(zip(trained, values, strict=True))
        whole = [own.get(at, value) for at, value in enumerate(given)]
        shown = [show(*pair) for pair in zip(followed.given, whole, strict=True)]
        made = evaluate(way, followed.closed.consts, shown, show)
        return loss(jax.tree_util.tree_unflatten(followed.structure, made)), seen

    def both(scale: Array, given: Sequence[Array]) -> Any:
        zeros = {at: jnp.zeros(item.shape, item.dtype) for at, item in shapes.items()}
        values = [given[at] for at in trained]
        run: Callable[[Any, Any], tuple[Any, Any]] = lambda own, others: forward(own, others, given)  # noqa: E731
        value, back, seen = jax.vjp(run, values, zeros, has_aux=True)
        own, others = back(scale.astype(value.dtype))
        return value, seen, {at: _norm(item) for at, item in others.items()}, own

    values = [arguments[at] for at in trained]
    _, every = jax.eval_shape(lambda *args: forward(values, {}, args), *arguments)
    shapes = {at: item for at, item in every.items() if at in watched}
    closed, tree = jax.make_jaxpr(both, return_shape=True)(jnp.float32(1), list(arguments))
    structure = jax.tree_util.tree_structure(tree)
    with jax.debug_nans(False):
        flat = jax.jit(jaxpr_as_fun(closed))(jnp.float32(1), *arguments)
    depends = jax.tree_util.tree_unflatten(structure, _depending(closed))
    value, seen, gradients, own = jax.tree_util.tree_unflatten(structure, flat)
    # Of no number there is no gradient; some functions of JAX give 0 where it has been.
    factor = math.nan if math.isnan(float(value)) else 1
    return BothWays(
        float(value),
        {at: as_numbers(item) for at, item in seen.items()},
        {at: float(item) * factor for at, item in gradients.items() if depends[2][at]},
        {
            at: as_numbers(item) * factor
            for at, item, known in zip(trained, own, depends[3], strict=True)
            if known
        },
    )


def _norm(values: Array) -> Array:
    """The Euclidean norm, whose squares neither overflow nor vanish."""
    sizes = jnp.abs(values)
    wide = sizes.astype(jnp.promote_types(sizes.dtype, jnp.float32))
    largest = jnp.max(wide, initial=0)
    unit = jnp.where(jnp.isfinite(largest) & (largest > 0), largest, 1)
    return unit * jnp.sqrt(jnp.sum(jnp.square(wide / unit)))


def _depending(closed: ClosedJaxpr) -> list[bool]:
    """Which results depend on the first argument."""
    first, *_ = closed.jaxpr.invars
    known = {first}
    for equation in closed.jaxpr.eqns:
        if any(not isinstance(item, Literal) and item in known for item in equation.invars):
            known.update(equation.outvars)
    return [not isinstance(item, Literal) and item in known for item in closed.jaxpr.outvars]


def as_numbers(value: Any) -> Array:
    """An array as one of NumPy, in a type that NumPy computes with."""
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype.kind == "V" else array


def limits_of(dtype: Any) -> Any:
    """The largest and the smallest numbers of a type."""
    limits: Any = jnp.finfo  # which has no types
    return limits(dtype)
