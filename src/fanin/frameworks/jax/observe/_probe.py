"""Probe: variances of what weights give on a batch, under weights that the model never gets."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NoReturn

import jax
import jax.numpy as jnp

from fanin.axes import Axes
from fanin.errors import FaninError, one_line
from fanin.frameworks.jax._program import Program
from fanin.frameworks.jax.observe._follow import Following
from fanin.frameworks.jax.observe._seen import see
from fanin.frameworks.jax.trace._trace import follow
from fanin.frameworks.jax.tree._held import is_abstract
from fanin.frameworks.jax.write._slot import Slot
from fanin.graph import CARRIERS, Node
from fanin.initializers import Initializer

Array = Any
_ROAD = "and measuring runs the model"
_ADAPTERS = (
    "recipes that start adapters from weights or a batch are for PyTorch models; use recipe auto, "
    "or make the adapters there."
)


class JaxProbe:
    """The arrays of a program, some of them drawn anew, and the batch that it runs on with them.

    Nothing of the model changes: arrays are never written. Chance is that of the keys among its
    arrays and inputs, the same in every run, and the mode is the model's own. Raises FaninError
    where an array has no values, and for whatever the model itself raises.
    """

    sees_weights = True

    def __init__(self, program: Program, slots: Mapping[str, Slot], seed: int) -> None:
        self._inputs = jax.tree_util.tree_leaves(program.inputs)
        for array in self._inputs:
            if is_abstract(array):
                raise FaninError(
                    f"inputs hold an array of shape {tuple(array.shape)} without values, {_ROAD}. "
                    "Pass a batch of real data."
                )
        self._followed = follow(program, Following)
        self._ends = _find_ends(self._followed.recorder.nodes)
        self._values = {leaf.name: leaf.value for leaf in program.leaves}
        self._slots, self._seed = slots, seed
        self._run = jax.jit(self._measure)

    def write(self, name: str, initializer: Initializer, axes: Axes | None) -> None:
        """Take the values that a plan gives a parameter for those of its array."""
        self._values[name] = self._slots[name].draw_array(initializer, self._seed, axes)

    def variance(self, place: str) -> float:
        """The variance of what a weight gives where it is first used, bias and all."""
        for name, value in self._values.items():
            if is_abstract(value):
                raise FaninError(
                    f"{name} of shape {tuple(value.shape)} has no values, {_ROAD}. Give it its "
                    "values, or use recipe auto."
                )
        try:
            seen = self._run([*self._values.values(), *self._inputs])
        except Exception as error:
            raise FaninError(
                f"the model does not run on these inputs: {one_line(error, named=True)}."
            ) from error
        return float(seen[self._ends[place]])

    def read(self, name: str) -> NoReturn:
        """Starts of adapters are not made here."""
        raise FaninError(_ADAPTERS)

    def store(self, name: str, values: Array) -> NoReturn:
        """Starts of adapters are not made here."""
        raise FaninError(_ADAPTERS)

    def measure_inputs(self, names: Collection[str]) -> NoReturn:
        """Starts of adapters are not made here."""
        raise FaninError(_ADAPTERS)

    def differentiate(self, names: Collection[str], loss: Callable[[Any], Any] | None) -> NoReturn:
        """Starts of adapters are not made here."""
        raise FaninError(_ADAPTERS)

    def _measure(self, given: Sequence[Array]) -> dict[int, Array]:
        ends = set(self._ends.values())
        return see(self._followed, given, lambda at, value: jnp.var(value) if at in ends else None)


def _find_ends(nodes: Sequence[Node]) -> dict[str, int]:
    """For every weight, the node of what it gives in its first use: with a bias, behind it."""
    found: dict[str, int] = {}
    for at, node in enumerate(nodes):
        if node.op == "linear" and node.param is not None and node.param.name not in found:
            found[node.param.name] = _behind_bias(nodes, at)
    return found


def _behind_bias(nodes: Sequence[Node], start: int) -> int:
    same = {start}
    for at in range(start + 1, len(nodes)):
        if same.isdisjoint(nodes[at].inputs):
            continue
        if nodes[at].op == "shift":
            return at
        if nodes[at].op not in CARRIERS:
            break
        same.add(at)
    return start
