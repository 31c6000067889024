"""Flax NNX: a module holds variables, which are written in place."""

import math
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from flax import nnx

from fanin._columns import list_names
from fanin.axes import no_roles
from fanin.errors import FaninError
from fanin.frameworks.jax._program import Program
from fanin.frameworks.jax.doors._door import PathNamed, program_of
from fanin.frameworks.jax.doors._inputs import arrays_in, split
from fanin.frameworks.jax.tree._held import Held, is_abstract
from fanin.frameworks.jax.tree._nnx import constant_in, find_place_in, gate_in
from fanin.frameworks.jax.write._shards import make_array
from fanin.streams import Stream

NnxPath = tuple[Any, ...]


class Nnx(PathNamed):
    """A module of NNX, abstract or not, or what nnx.get_abstract_model returns."""

    library = "flax"
    in_place = True

    def __init__(self, model: Any) -> None:
        self._root: Any = model[1] if isinstance(model, tuple) else model
        if isinstance(model, tuple):
            self._graphdef, self._state = model
            model = nnx.merge(self._graphdef, self._state)
        else:
            self._graphdef, self._state = nnx.split(model)
        self._variables = dict(nnx.to_flat_state(self._state))
        shared = _paths(model)
        nodes = {
            path: node
            for first, node in nnx.iter_graph(model)
            for path in _all_paths(first, shared)
        }
        _refuse_abstract_norms(nodes)
        self.held = [
            _held(variable, _all_paths(path, shared), nodes)
            for path, variable in self._variables.items()
        ]

    @property
    def notes(self) -> list[str]:
        """Variables that stay without a value."""
        lost = [
            ".".join(item.path)
            for item, variable in zip(self.held, self._variables.values(), strict=True)
            if is_abstract(item.value) and not (item.trained or item.start is not None)
            if not isinstance(variable, nnx.RngState)
        ]
        if not lost:
            return []
        return [
            f"without a value, being no parameters, {'stays' if len(lost) == 1 else 'stay'} "
            f"{list_names(lost)}: set one by variable.set_value(...) before a run."
        ]

    def program(self, inputs: object, names: Sequence[str]) -> Program:
        """The module in its mode; what it changes stays in the run."""
        arrays, filled = split(inputs)

        def run(values: Sequence[Any], *given: Any) -> Any:
            pairs = zip(self._variables.items(), values, strict=True)
            state = nnx.from_flat_state([(path, _with_value(held, v)) for (path, held), v in pairs])
            arguments, keywords = filled(given)
            return arrays_in(nnx.merge(self._graphdef, state)(*arguments, **keywords))

        return program_of(run, self.held, names, arrays)

    def start(self, seed: int) -> dict[int, Any]:
        """Statistics, counts and keys that have no value yet, as their modules start them."""
        found = {
            at: starting_value(variable, self.held[at].start, ".".join(self.held[at].path), seed)
            for at, variable in enumerate(self._variables.values())
            if is_abstract(self.held[at].value) and not self.held[at].trained
        }
        return {at: value for at, value in found.items() if value is not None}

    def put(self, values: Mapping[int, Any], seed: int) -> None:
        """Give each variable its value; hooks of the variable may change what it stores."""
        started = self.start(seed)
        for at, (path, variable) in enumerate(self._variables.items()):
            value = values.get(at, started.get(at))
            if value is not None and isinstance(variable, nnx.Variable):
                variable.set_value(value)
            elif value is not None:
                _set_array(self._root, path, value)


def starting_value(variable: Any, start: float | None, name: str, seed: int) -> Any:
    """What an abstract variable that is not trained starts with; None where nobody knows.

    A key for dropout is drawn from the seed's stream of its name.
    """
    value = _value_of(variable)
    if isinstance(variable, nnx.RngKey):
        shape = jax.eval_shape(jax.random.key_data, value).shape
        kinds: list[Any] = []
        jax.eval_shape(lambda key: kinds.append(jax.random.key_impl(key)), value)
        words = jax.numpy.asarray(Stream(seed, name).words(math.prod(shape)).reshape(shape))
        return jax.random.wrap_key_data(words, impl=kinds[0])
    if isinstance(variable, nnx.RngCount):
        start = 0
    if start is None:
        return None
    filled = partial(np.full, tuple(value.shape), start, value.dtype)
    return make_array(value, lambda index: filled()[index])


def _value_of(variable: Any) -> Any:
    """The array of a variable, or one that a module holds without."""
    return variable.get_raw_value() if isinstance(variable, nnx.Variable) else variable


def _with_value(variable: Any, value: Any) -> Any:
    return variable.replace(value) if isinstance(variable, nnx.Variable) else value


def _set_array(root: Any, path: NnxPath, value: Any) -> None:
    """Put an array that is in no variable where the last key of a path says."""
    *above, last = path
    for key in above:
        root = root[key] if _has_items(root) else getattr(root, key)
    if _has_items(root):
        root[last] = value
    else:
        setattr(root, last, value)


def _has_items(node: Any) -> bool:
    return isinstance(node, MutableMapping | MutableSequence)


def _held(variable: Any, paths: Sequence[NnxPath], nodes: Mapping[NnxPath, Any]) -> Held:
    """A variable with all its paths: one in a table names it, else the first."""
    path, *others = sorted(paths, key=lambda item: not isinstance(nodes.get(item[:-1]), nnx.Embed))
    *above, attribute = parts = _parts(path)
    module = nodes.get(path[:-1])
    wrapper, inside = _find_weight_norm(path, nodes)
    trained = isinstance(variable, nnx.Param) or inside[:1] == ("scales",)
    held = Held(tuple(parts), _value_of(variable), trained, type(module).__name__)
    held.aliases = tuple(map(_parts, others))
    held.random = isinstance(variable, nnx.RngState)
    if isinstance(module, nnx.BatchNorm) and isinstance(variable, nnx.BatchStat):
        held.start = 1.0 if attribute == "var" else 0.0
    if trained:
        called = above[-1] if above else ""
        held.placed = find_place_in(module, attribute, held.shape, nodes.get(path[:-2]), called)
        held.made = constant_in(module, attribute)
        held.gate = gate_in(attribute, nodes.get(path[:-2]), called)
        if inside[:1] == ("scales",):
            held.owner, held.placed = type(wrapper).__name__, ("magnitude", no_roles(held.shape))
        elif held.placed and (inside[1:] in (wrapper.scales or ()) if wrapper else False):
            held.placed = ("direction", held.placed[1])
        _refuse_unmeshed(held, variable)
    return held


def _refuse_abstract_norms(nodes: Mapping[NnxPath, Any]) -> None:
    """FaninError for an nnx.WeightNorm of an abstract model: there its arrays are no state."""
    for path, node in nodes.items():
        norms = (node.scales or {}) if isinstance(node, nnx.WeightNorm) else {}
        if any(map(is_abstract, norms.values())):
            raise FaninError(
                f"{'.'.join(_parts(path)) or 'nnx.WeightNorm'} keeps its norms in plain arrays, "
                "which Flax does not fill in an abstract model. Build the model with values, "
                "without nnx.eval_shape."
            )


def _find_weight_norm(path: NnxPath, nodes: Mapping[NnxPath, Any]) -> tuple[Any, NnxPath]:
    """The nnx.WeightNorm that a path leads through, and the rest of the path from there."""
    for depth in range(len(path)):
        node = nodes.get(path[:depth])
        if isinstance(node, nnx.WeightNorm):
            return node, path[depth:]
    return None, ()


def _parts(path: NnxPath) -> tuple[str, ...]:
    """The keys of a path as words; of one that is a path itself, all of its own."""
    flat = (part for key in path for part in (key if isinstance(key, tuple) else (key,)))
    return tuple(map(str, flat))


def _paths(model: Any) -> dict[NnxPath, list[NnxPath]]:
    """Every path of each node that has several, by its first one."""
    return {paths[0]: list(paths) for paths in nnx.find_duplicates(model)}


def _all_paths(path: NnxPath, shared: Mapping[NnxPath, list[NnxPath]]) -> list[NnxPath]:
    """The paths of a node, which may be in a module that has several, or be shared itself."""
    found = [path]
    for first, paths in shared.items():
        if path[: len(first)] == first:
            found += [(*other, *path[len(first) :]) for other in paths[1:]]
    return found


def _refuse_unmeshed(held: Held, variable: Any) -> None:
    """FaninError for an abstract variable that asks to be spread, where no mesh is known."""
    asked = (
        variable.get_metadata().get("out_sharding") if isinstance(variable, nnx.Variable) else None
    )
    if is_abstract(held.value) and asked and held.value.sharding is None:
        raise FaninError(
            f"{'.'.join(held.path)} of shape {held.shape} is to be laid out as {asked}, and has no "
            "mesh. Make it abstract under one: with jax.set_mesh(mesh): abstract = "
            "nnx.eval_shape(make), and initialize it there; or use nnx.get_abstract_model."
        )
