"""Functions: `apply(params, *inputs)` over any tree of arrays, as Haiku's and people's own are."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax

from fanin.errors import FaninError, quote
from fanin.frameworks._functional import Functional
from fanin.frameworks.jax._program import Program
from fanin.frameworks.jax.doors._door import PathNamed, program_of
from fanin.frameworks.jax.doors._inputs import arrays_in, split
from fanin.frameworks.jax.tree._held import Held, is_array, is_real, part_of


class FunctionDoor(PathNamed):
    """A function and its parameters, which say nothing of how it uses them."""

    library = "jax"
    notes: Sequence[str] = ()

    def __init__(self, functional: Functional) -> None:
        self._apply = functional.model
        try:
            paths, self._structure = jax.tree_util.tree_flatten_with_path(functional.params)
        except (RecursionError, SystemError):  # of a tree that holds itself JAX raises either
            raise FaninError("params is a tree without an end; does it hold itself?") from None
        self.held = [_held(path, leaf) for path, leaf in paths]
        if not self.held:
            raise FaninError(
                f"params is {quote(functional.params)}, a tree without arrays; give the parameters "
                "that the function takes first."
            )

    def program(self, inputs: object, names: Sequence[str]) -> Program:
        """The function on its tree and these inputs."""
        arrays, filled = split(inputs)

        def run(values: Sequence[Any], *given: Any) -> Any:
            arguments, keywords = filled(given)
            tree = jax.tree_util.tree_unflatten(self._structure, values)
            return arrays_in(self._apply(tree, *arguments, **keywords))

        return program_of(run, self.held, names, arrays)

    def start(self, seed: int) -> Mapping[int, Any]:
        """Nothing: a tree does not say what starts its arrays."""
        return {}

    def put(self, values: Mapping[int, Any], seed: int) -> Any:
        """A new tree of the same structure."""
        leaves = [values.get(at, item.value) for at, item in enumerate(self.held)]
        return jax.tree_util.tree_unflatten(self._structure, leaves)


def _held(path: tuple[Any, ...], leaf: Any) -> Held:
    parts = tuple(map(part_of, path))
    if not is_array(leaf):
        raise FaninError(
            f"params has {quote(leaf)} at {'.'.join(parts) or 'its root'}; its leaves are arrays, "
            "abstract (jax.ShapeDtypeStruct) or not."
        )
    return Held(parts, leaf, is_real(leaf), "function")
