"""Seen: the sizes that a graph's nodes have in a run with the values that a program holds."""

from collections.abc import Sequence
from typing import Any

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
from fanin.frameworks.observing._seen import NO_VALUES, check_alike, refuse_constant
from fanin.frameworks.recording._finish import prune
from fanin.frameworks.recording._record import ActivationTensor, TensorEntry
from fanin.graph import Graph

Array = Any


def measure(program: Program, graph: Graph) -> dict[int, float]:
    """Mean squares by node of the graph of `trace`, from one real run, in the model's own mode.

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
    put_features_first(followed.recorder)
    run, places = prune(followed.recorder.nodes, followed.outputs)
    check_alike(run, graph)
    try:
        seen = jax.jit(lambda given: _sizes(followed, given))([*program.values, *inputs])
    except Exception as error:
        raise FaninError(
            f"the model does not run on these inputs: {one_line(error, named=True)}."
        ) from error
    return {new: float(seen[old]) for old, new in places.items() if old in seen}


def _sizes(followed: Followed, given: Sequence[Array]) -> dict[int, Array]:
    """The mean square of what each node gives, where it is real."""
    assert isinstance(followed.run, Following)
    (way,) = followed.run.passes
    nodes = followed.recorder.nodes
    seen: dict[int, Array] = {}

    def show(entry: TensorEntry, value: Array) -> Array:
        at = entry.node if isinstance(entry, ActivationTensor) else -1
        real = jnp.issubdtype(value.dtype, jnp.floating) and value.size
        if at >= 0 and at not in seen and real and not shows_others(nodes[at]):
            wide = value.astype(jnp.promote_types(value.dtype, jnp.float32))
            seen[at] = jnp.mean(jnp.square(wide))
        return value

    shown = [show(*pair) for pair in zip(followed.given, given, strict=True)]
    evaluate(way, followed.closed.consts, shown, show)
    return seen
