"""Seen: the sizes that a graph's nodes have in a run with the values that a program holds."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from fanin.errors import FaninError, one_line
from fanin.frameworks.jax._program import Program
from fanin.frameworks.jax.observe._evaluate import evaluate
from fanin.frameworks.jax.observe._follow import Following
from fanin.frameworks.jax.trace._order import put_features_first
from fanin.frameworks.jax.trace._trace import Followed, follow
from fanin.frameworks.jax.tree._held import is_abstract, is_real
from fanin.frameworks.observing._nodes import shows_others
from fanin.frameworks.observing._numbers import SAME
from fanin.frameworks.observing._seen import NO_VALUES, check_alike, refuse_constant
from fanin.frameworks.recording._finish import prune
from fanin.frameworks.recording._record import ActivationTensor, TensorEntry
from fanin.graph import Graph

Array = Any
_Told = TypeVar("_Told")


def measure(program: Program, graph: Graph) -> Graph:
    """The graph of `trace` with the mean squares of its nodes, from one run in the model's mode.

    Nodes without real numbers of their own are left out; nothing of the program changes. Raises
    FaninError where model or inputs have no values, and where all of an input is one number.
    """
    inputs = jax.tree_util.tree_leaves(program.inputs)
    if any(map(is_abstract, [*program.values, *inputs])):
        raise FaninError(NO_VALUES)
    for array in inputs:
        if is_real(array) and array.size > 1 and not float(jnp.std(jnp.asarray(array))) > 0:
            refuse_constant(array.shape)
    followed = follow(program, Following)
    nodes = followed.recorder.nodes

    def size(at: int, value: Array) -> tuple[Array, Array] | None:
        if shows_others(nodes[at]):
            return None
        return jnp.mean(jnp.square(value)), _is_constant(value)

    put_features_first(followed.recorder)
    run, places = prune(followed.recorder.nodes, followed.outputs)
    check_alike(run, graph)
    try:
        seen = jax.jit(lambda given: see(followed, given, size))([*program.values, *inputs])
    except Exception as error:
        raise FaninError(
            f"the model does not run on these inputs: {one_line(error, named=True)}."
        ) from error
    known = {new: seen[old] for old, new in places.items() if old in seen}
    sizes = {at: float(square) for at, (square, _) in known.items()}
    return replace(
        graph, measured=sizes, constant=frozenset(at for at, (_, same) in known.items() if same)
    )


def _is_constant(value: Array) -> Array | bool:
    """Whether the slices of the first axis, of which there are several, are the same."""
    if value.ndim < 2 or len(value) < 2:
        return False
    return jnp.max(jnp.abs(value - value[:1])) <= SAME * jnp.max(jnp.abs(value))


def see(
    followed: Followed, given: Sequence[Array], measure: Callable[[int, Array], _Told | None]
) -> dict[int, _Told]:
    """What `measure` makes of what each node first gives, in single precision; of real ones."""
    assert isinstance(followed.run, Following)
    (way,) = followed.run.passes
    seen: dict[int, _Told] = {}

    def show(entry: TensorEntry, value: Array) -> Array:
        at = entry.node if isinstance(entry, ActivationTensor) else -1
        real = jnp.issubdtype(value.dtype, jnp.floating) and value.size
        if at >= 0 and at not in seen and real:
            wide = value.astype(jnp.promote_types(value.dtype, jnp.float32))
            found = measure(at, wide)
            if found is not None:
                seen[at] = found
        return value

    shown = [show(*pair) for pair in zip(followed.given, given, strict=True)]
    evaluate(way, followed.closed.consts, shown, show)
    return seen
