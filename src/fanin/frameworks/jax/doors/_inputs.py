"""Inputs: what a model is called with, as the arrays that vary and the call that holds the rest."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from fanin.frameworks.jax.tree._held import is_array

CallArguments = tuple[tuple[Any, ...], dict[str, Any]]


def read_call(inputs: object) -> CallArguments:
    """Positional and keyword arguments: an array, a tuple (positional) or a dict (keywords)."""
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return (inputs if isinstance(inputs, tuple) else (inputs,)), {}


def split(inputs: object) -> tuple[tuple[Any, ...], Callable[[Sequence[Any]], CallArguments]]:
    """The arrays of a call, and what puts others in their places; flags and such stay."""
    leaves, structure = jax.tree_util.tree_flatten(read_call(inputs))
    vary = [is_array(leaf) for leaf in leaves]

    def fill(arrays: Sequence[Any]) -> CallArguments:
        given = iter(arrays)
        items = [next(given) if each else leaf for each, leaf in zip(vary, leaves, strict=True)]
        call: CallArguments = jax.tree_util.tree_unflatten(structure, items)
        return call

    return tuple(leaf for leaf, each in zip(leaves, vary, strict=True) if each), fill


def arrays_in(outputs: Any, without: Callable[[Any], bool] | None = None) -> Any:
    """The tree that a model returns, with nothing in place of all that is no array.

    `without` says of what else nothing is kept.
    """
    kept: Callable[[Any], Any] = lambda leaf: leaf if is_array(leaf) else None  # noqa: E731
    return jax.tree_util.tree_map(kept, outputs, is_leaf=without)
