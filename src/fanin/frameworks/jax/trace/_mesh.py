"""Mesh: programs that every device runs on its own shards, as programs on whole arrays.

Weights are followed whole, so that a product with a shard of one has the fans of all of it; the
sum over devices behind it is then a part of the product.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from jax.extend.core import ClosedJaxpr, JaxprEqn

from fanin.frameworks.jax.operations._lax import translate
from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.jax.record._record import Recorder
from fanin.frameworks.jax.trace._abstract import abstract_of
from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor, TensorEntry
from fanin.frameworks.recording._weights import ParameterTensor


class MeshRunner(Protocol):
    """A run, as far as a mesh needs it."""

    recorder: Recorder
    sizes: dict[str, int]

    def run_program(self, program: ClosedJaxpr, given: Sequence[TensorEntry]) -> list[TensorEntry]:
        """What a program returns."""


def run_on_mesh(
    run: MeshRunner, equation: JaxprEqn, entries: list[TensorEntry]
) -> list[TensorEntry]:
    """shard_map: the program that one device runs."""
    run.sizes.update(equation.params["mesh"].shape)
    return run.run_program(ClosedJaxpr(equation.params["jaxpr"], ()), entries)


def add_up(run: MeshRunner, equation: JaxprEqn, entries: list[TensorEntry]) -> list[TensorEntry]:
    """psum: sums over devices, and over what a program was mapped over."""
    axes = equation.params["axes"]
    mapped = tuple(axis for axis in axes if not isinstance(axis, str))
    count = math.prod(run.sizes.get(axis, 1) for axis in axes if isinstance(axis, str))
    made: list[TensorEntry] = []
    for entry, read, variable in zip(entries, equation.invars, equation.outvars, strict=True):
        out = abstract_of(variable)
        if mapped:
            params = {"axes": mapped}
            call = Call("reduce_sum", params, [entry], [abstract_of(read)], [out], run.recorder)
            (entry,) = translate(call)
        made.append(_add_up(run.recorder, entry, out.shape, count))
    return made


def _add_up(
    recorder: Recorder, entry: TensorEntry, shape: Sequence[int], count: int
) -> TensorEntry:
    if isinstance(entry, ConstantTensor):
        known = None if entry.value is None else count * np.asarray(entry.value)
        return replace(entry, value=known)
    if isinstance(entry, ParameterTensor) or count == 1 or _is_partial(recorder, entry.node):
        return entry
    made = recorder.emit("sum", [entry], shape, count=float(count), label="sum")
    recorder.sums[made.node] = entry.node, float(count)
    statistic = recorder.statistics.get(entry.node)
    if statistic is not None:
        recorder.statistics[made.node] = replace(statistic, factor=statistic.factor * count)
    return made


def _is_partial(recorder: Recorder, node: int) -> bool:
    """Whether it is a part of a product that other devices have the rest of."""
    while recorder.nodes[node].op == "view":
        node = recorder.nodes[node].inputs[0]
    return node in recorder.partial


def gather(run: MeshRunner, equation: JaxprEqn, entries: list[TensorEntry]) -> list[TensorEntry]:
    """all_gather: what all devices have; of weights, which are followed whole, nothing new."""
    made: list[TensorEntry] = []
    for entry, variable in zip(entries, equation.outvars, strict=True):
        if isinstance(entry, ActivationTensor):
            shape = abstract_of(variable).shape
            made.append(run.recorder.emit("view", [entry], shape, label="all_gather"))
        else:
            made.append(entry)
    return made


MESH: dict[str, Callable[[Any, JaxprEqn, list[TensorEntry]], list[TensorEntry]]] = {
    "shard_map": run_on_mesh,
    **dict.fromkeys(("psum", "psum_invariant"), add_up),
    **dict.fromkeys(("all_gather", "all_gather_invariant"), gather),
}
