"""Observe: a real run of a program, with the size of every activation and of its gradient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fanin.errors import FaninError, one_line
from fanin.frameworks._observation import GradientStats, Look, Observation, ParameterStats
from fanin.frameworks.jax._program import Leaf, Program
from fanin.frameworks.jax.observe._asked import asking
from fanin.frameworks.jax.observe._backward import BothWays, as_numbers, limits_of, run_both_ways
from fanin.frameworks.jax.observe._batch import axes_of_batch
from fanin.frameworks.jax.observe._compared import compare
from fanin.frameworks.jax.observe._follow import Following
from fanin.frameworks.jax.observe._objective import Objective
from fanin.frameworks.jax.record._record import Recorder
from fanin.frameworks.jax.trace._order import put_features_first
from fanin.frameworks.jax.trace._trace import Followed, follow
from fanin.frameworks.observing._nodes import (
    axis_of_units,
    flat_beyond,
    is_function,
    is_looked_at,
    is_rectifier,
    is_watched,
    shows_others,
    uses_of,
)
from fanin.frameworks.observing._numbers import (
    Array,
    look,
    rms,
    share_outside,
    silent,
    spread_before,
)
from fanin.frameworks.observing._values import describe, describe_gradient
from fanin.frameworks.recording._finish import finish, prune
from fanin.graph import Node


@dataclass(slots=True)
class _Looks:
    """What is kept of the values of nodes."""

    rms: dict[int, float] = field(default_factory=dict)
    looks: dict[int, Look] = field(default_factory=dict)
    silent: dict[int, float] = field(default_factory=dict)
    flat: dict[int, float] = field(default_factory=dict)
    spreads: dict[int, float] = field(default_factory=dict)


def observe(
    program: Program, objective: Objective, flat: float, same: float, mapped: bool
) -> Observation:
    """Run the program on its own values, forward and backward; nothing of it changes.

    `flat` is a share of the largest slope, `same` a relative difference. `mapped` says that the
    batch may be at any axis. Nodes are those of `trace`.
    """
    followed = follow(program, Following)
    recorder = followed.recorder
    _, places = prune(recorder.nodes, followed.outputs)
    kept = list(places)
    trained = [at for at, leaf in enumerate(program.leaves) if learns(leaf)]
    seen = _run(program, followed, trained, kept, objective)
    batch = axes_of_batch(program, recorder.nodes) if mapped else {}
    found = _look(followed, kept, seen.nodes, batch, flat)
    for at, axis in batch.items():
        _put_batch_first(followed.recorder, at, axis)
    put_features_first(recorder)
    names = [leaf.name for leaf in program.leaves if leaf.trained]
    graph = finish(recorder, followed.outputs, names)
    values, gradients = _describe(program, trained, graph.nodes, seen.trained, same)
    asked, compared = asking(objective, followed), compare(objective, followed)
    return Observation(
        graph.nodes,
        tuple(found.rms.get(at) for at in kept),
        tuple(seen.gradients.get(at) for at in kept),
        None,
        seen.loss if gradients or not trained else None,
        _move(found.looks, places),
        _move(found.silent, places),
        _move(found.flat, places),
        values,
        gradients,
        graph.outputs,
        spreads=_move(found.spreads, places),
        asked={name: places[at] for name, at in asked.items() if at in places},
        compared=None if compared is None else replace(compared, node=places[compared.node]),
        loss_name=objective.name,
        classes=objective.classes,
        targets=objective.compared,
    )


def learns(leaf: Leaf) -> bool:
    """Whether an array is a parameter that a gradient can move."""
    return leaf.trained and bool(jnp.issubdtype(leaf.value.dtype, jnp.inexact))


def _run(
    program: Program,
    followed: Followed,
    trained: Sequence[int],
    kept: Sequence[int],
    objective: Objective,
) -> BothWays:
    """The run itself; gradients are looked at where parameters come before."""
    nodes = followed.recorder.nodes
    behind: set[int] = set()
    for at, node in enumerate(nodes):
        if node.param is not None or node.uses or behind.intersection(node.inputs):
            behind.add(at)
    watched = {at for at in kept if at in behind and is_watched(nodes[at])}
    arguments = [*program.values, *jax.tree_util.tree_leaves(program.inputs)]
    try:
        return run_both_ways(followed, arguments, trained, set(kept), watched, objective)
    except FaninError as error:  # without what JAX notes on all that pass through it
        raise FaninError(str(error)) from error.__cause__
    except Exception as error:
        raise FaninError(
            f"the model does not run on these inputs: {one_line(error, named=True)}. Check that "
            "model(inputs) runs, in the mode that the model is in."
        ) from error


def _look(
    followed: Followed,
    kept: Sequence[int],
    values: Mapping[int, Array],
    batch: Mapping[int, int],
    flat: float,
) -> _Looks:
    """What the values of nodes show, one after the other."""
    nodes, layouts = followed.recorder.nodes, followed.recorder.layouts
    found, units = _Looks(), dict[int, int]()
    for at in kept:
        node = nodes[at]
        axis = axis_of_units(node, layouts.get(at), units, nodes)
        if axis is not None:
            units[at] = axis
        if at not in values or not values[at].size or shows_others(node):
            continue
        value = values[at]
        found.rms[at] = rms(value)
        if is_looked_at(node):
            found.looks[at] = look(np.moveaxis(value, batch.get(at, 0), 0) if value.ndim else value)
        elif node.op == "softmax" and "logarithm" not in node.flags:
            found.spreads[at] = spread_before(value, _axis_of_sums(value))
        elif np.iscomplexobj(value):
            continue  # functions of real numbers saturate
        elif is_function(node) and is_rectifier(node):
            if at in units:
                found.silent[at] = silent(value, units[at])
        elif is_function(node) and (bounds := flat_beyond(node, flat)) is not None:
            found.flat[at] = share_outside(value, *bounds)
    return found


def _axis_of_sums(weights: Array) -> int:
    """The axis along which a softmax was taken: its results are 1 in all there."""
    with np.errstate(all="ignore"):
        for axis in range(weights.ndim)[::-1]:
            sums = weights.sum(axis, dtype=np.float32)
            if bool((np.isnan(sums) | (np.abs(sums - 1) < 1e-2)).all()):
                return axis
    return -1


def _put_batch_first(recorder: Recorder, at: int, axis: int) -> None:
    """As the shapes of a model on whole batches are."""
    shape = recorder.nodes[at].shape
    recorder.replace_node(at, shape=(shape[axis], *shape[:axis], *shape[axis + 1 :]))


def _describe(
    program: Program,
    trained: Sequence[int],
    nodes: Sequence[Node],
    gradients: Mapping[int, Array],
    same: float,
) -> tuple[dict[str, ParameterStats], dict[str, GradientStats]]:
    """The values of parameters, and of their gradients where there are any."""
    values: dict[str, ParameterStats] = {}
    found: dict[str, GradientStats] = {}
    uses = uses_of(nodes)
    for at in trained:
        name, value = program.leaves[at].name, program.leaves[at].value
        largest = limits_of(value.dtype).max
        values[name], kind = describe(as_numbers(value), uses.get(name), same, float(largest))
        if at in gradients:
            found[name] = describe_gradient(gradients[at], uses.get(name), kind, same)
    return values, found


def _move(found: Mapping[int, Any], places: Mapping[int, int]) -> dict[int, Any]:
    """The same under the positions that nodes have in the graph."""
    return {places[at]: item for at, item in found.items()}
