"""Asked: which node of a model its loss takes for logits."""

from collections.abc import Callable
from typing import Any

import jax

from fanin.frameworks.jax.trace._trace import Followed
from fanin.graph import Node


def asking(loss: Callable[[Any], Any], followed: Followed) -> dict[str, int]:
    """The node whose logarithms of a softmax the loss takes, under the name that checks know.

    Whatever the loss does is recorded behind the nodes of the model.
    """
    made: Any = jax.ShapeDtypeStruct  # which has no types
    shapes = [made(item.aval.shape, item.aval.dtype) for item in followed.closed.jaxpr.outvars]
    nodes, count = followed.recorder.nodes, len(followed.recorder.nodes)
    program = jax.make_jaxpr(loss)(jax.tree_util.tree_unflatten(followed.structure, shapes))
    followed.run.run_program(program, followed.results)
    for node in nodes[count:]:
        if node.op == "softmax" and "logarithm" in node.flags:
            return {"_log_softmax": _source(nodes, node.inputs[0], count)}
    return {}


def _source(nodes: list[Node], at: int, count: int) -> int:
    """The node of the model that is shown by one of the loss."""
    while at >= count and nodes[at].inputs:
        at = nodes[at].inputs[0]
    return at
