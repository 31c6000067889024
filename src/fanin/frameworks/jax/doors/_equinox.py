"""Equinox: a module is a tree of its arrays, and new weights are a new module."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax

from fanin.errors import FaninError, one_line
from fanin.frameworks._functional import Functional
from fanin.frameworks.jax._program import Program
from fanin.frameworks.jax.doors._door import PathNamed, program_of
from fanin.frameworks.jax.doors._inputs import arrays_in, read_call, split
from fanin.frameworks.jax.tree._equinox import held_in
from fanin.frameworks.jax.tree._held import Held, is_array

# What JAX raises where a run without values asks for one.
_UNREADABLE = (jax.errors.JAXTypeError, jax.errors.JAXIndexError)

Forward = Callable[[Sequence[Any], tuple[Any, ...]], Any]


class Equinox(PathNamed):
    """A module of Equinox, abstract or not: every array of real numbers is a parameter."""

    library = "equinox"

    def __init__(self, functional: Functional) -> None:
        self._model = functional.model
        if functional.params is not None:
            raise FaninError(
                f"params is given beside {type(self._model).__name__}, which holds its own: "
                "model, plan = fanin.initialize_params(model, seed=0, inputs=x)."
            )
        paths, self._structure = jax.tree_util.tree_flatten_with_path(self._model)
        self._leaves = [leaf for _, leaf in paths]
        self._at = [at for at, leaf in enumerate(self._leaves) if is_array(leaf)]
        self.held: list[Held] = [held_in(self._model, *paths[at]) for at in self._at]
        self.notes = list(_copies(self.held))

    def program(self, inputs: object, names: Sequence[str]) -> Program:
        """The module on one example, as its library calls it, or else mapped over a batch."""
        arrays, filled = split(inputs)

        def call(values: Sequence[Any], given: tuple[Any, ...]) -> Any:
            arguments, keywords = filled(given)
            return arrays_in(self._with(values)(*arguments, **keywords), _is_state)

        def map_axis(values: Sequence[Any], given: tuple[Any, ...]) -> Any:
            over: Callable[..., Any] = jax.vmap(
                lambda *example: call(values, example),
                _batch_axes(inputs),
                axis_name=_axis(self._model),
            )
            return over(*given)

        failures: list[Exception] = []
        for forward in (call, map_axis):
            try:
                jax.eval_shape(forward, [item.value for item in self.held], arrays)
            except _UNREADABLE:  # a call that fits: the trace tells what it asks for
                pass
            except Exception as error:  # whatever the user's module raises
                failures.append(error)
                continue
            return program_of(partial(_run, forward), self.held, names, arrays)
        single, batch = (one_line(error, named=True) for error in failures)
        raise FaninError(
            f"{type(self._model).__name__} does not run on these inputs, neither on one example "
            f"({single}) nor mapped over a batch ({batch}). Give what model(...) is called with: "
            "an array, a tuple, or a dict of keywords, {'x': x, 'key': key} for dropout."
        ) from failures[0]

    def start(self, seed: int) -> Mapping[int, Any]:
        """Nothing: states are made with values."""
        return {}

    def put(self, values: Mapping[int, Any], seed: int) -> Any:
        """A new module; what is no array is shared with the old one."""
        return self._with([values.get(at, item.value) for at, item in enumerate(self.held)])

    def _with(self, values: Sequence[Any]) -> Any:
        leaves = list(self._leaves)
        for at, value in zip(self._at, values, strict=True):
            leaves[at] = value
        return jax.tree_util.tree_unflatten(self._structure, leaves)


def _run(forward: Forward, values: Sequence[Any], *given: Any) -> Any:
    return forward(values, given)


def _batch_axes(inputs: object) -> tuple[int | None, ...]:
    """The axis of each array that counts the batch: none of states, keys and single numbers."""
    axes: list[int | None] = []
    size: int | None = None
    for node in jax.tree_util.tree_leaves(read_call(inputs), is_leaf=_is_state):
        if _is_state(node):
            axes += [None] * len(jax.tree_util.tree_leaves(node))
        elif is_array(node):
            batched = node.ndim and not jax.numpy.issubdtype(node.dtype, jax.dtypes.prng_key)
            size = node.shape[0] if batched and size is None else size
            axes.append(0 if batched and node.shape[0] == size else None)
    return tuple(axes)


def _axis(model: eqx.Module) -> Any:
    """The name that batch normalizations have for the batch, where there are any."""
    is_norm: Callable[[Any], bool] = lambda node: isinstance(node, eqx.nn.BatchNorm)  # noqa: E731
    nodes = jax.tree_util.tree_leaves(model, is_leaf=is_norm)
    return next((node.axis_name for node in nodes if is_norm(node)), None)


def _is_state(node: Any) -> bool:
    return isinstance(node, eqx.nn.State)


def _copies(held: Sequence[Held]) -> Iterator[str]:
    """Notes of arrays that are one object in two places."""
    first: dict[int, str] = {}
    for item in held:
        name = ".".join(item.path)
        before = first.setdefault(id(item.value), name)
        if before != name and item.trained and isinstance(item.value, jax.Array):
            yield (
                f"{before} and {name} are one array in two places, which are two copies for "
                "Equinox: each is drawn by its own name. To tie them, use equinox.nn.Shared."
            )
