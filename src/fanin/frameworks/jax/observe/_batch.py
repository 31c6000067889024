"""Batch: which axis of each node's value counts the inputs, found by a run on one input more."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax

from fanin.errors import FaninError
from fanin.frameworks.jax._program import Program
from fanin.frameworks.jax.trace._run import ProgramRun
from fanin.frameworks.jax.trace._trace import follow
from fanin.graph import Node


def axes_of_batch(program: Program, nodes: Sequence[Node]) -> dict[int, int]:
    """For every node the axis that grows with the batch, where one does.

    None of a program that does not run on another number of inputs.
    """
    arrays = jax.tree_util.tree_leaves(program.inputs)
    size = next((array.shape[0] for array in arrays if array.ndim), None)
    if size is None:
        return {}

    def grown(array: Any) -> Any:
        more = array.ndim and array.shape[0] == size
        shape = (size + 1, *array.shape[1:]) if more else array.shape
        return jax.ShapeDtypeStruct(shape, array.dtype)  # type: ignore[no-untyped-call]

    inputs = jax.tree_util.tree_map(grown, program.inputs)
    try:
        others = follow(replace(program, inputs=inputs), ProgramRun).recorder.nodes
    except FaninError:
        return {}
    if [node.op for node in nodes] != [node.op for node in others]:
        return {}
    found = {}
    for at, (node, other) in enumerate(zip(nodes, others, strict=True)):
        pairs = zip(node.shape, other.shape, strict=False)
        axes = [axis for axis, pair in enumerate(pairs) if pair[0] != pair[1]]
        if axes and len(node.shape) == len(other.shape):
            found[at] = axes[0]
    return found
