"""Door: what a library's models are to the target, whatever they store their arrays in."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import jax

from fanin.errors import FaninError
from fanin.frameworks.jax._program import Leaf, Program
from fanin.frameworks.jax.tree._held import Held


class Door(Protocol):
    """A model of one library."""

    library: str  # its package: two doors of one library store weights alike
    in_place: bool  # whether new values are put into the model itself

    @property
    def held(self) -> Sequence[Held]:
        """Every array, in the order of the program's values."""

    @property
    def notes(self) -> Sequence[str]:
        """What is to be told of the model."""

    def program(self, inputs: object, names: Sequence[str]) -> Program:
        """A run on inputs as a function of the arrays, which have these canonical names."""

    @property
    def tree_names(self) -> Sequence[str]:
        """The path of every array in the library's own tree, joined with dots."""

    def start(self, seed: int) -> Mapping[int, Any]:
        """What the library starts arrays with that are not trained and have no value.

        Those of random numbers are drawn from the seed.
        """

    def put(self, values: Mapping[int, Any], seed: int) -> Any:
        """The model or tree with these arrays, by position, in place of its own.

        What is not trained and has no value gets what the library starts it with.
        """


class PathNamed:
    """A door whose library's tree has the paths that are held."""

    in_place = False
    held: Sequence[Held]

    @property
    def tree_names(self) -> Sequence[str]:
        """The paths, joined with dots."""
        return [".".join(item.path) for item in self.held]


def program_of(
    run: Callable[..., Any], held: Sequence[Held], names: Sequence[str], arrays: tuple[Any, ...]
) -> Program:
    """`run(values, *arrays)` as a Program, the values being those that are held."""
    leaves = tuple(
        Leaf(name, item.value, item.trained, ".".join(item.path[:-1]))
        for name, item in zip(names, held, strict=True)
    )
    return Program(run, leaves, arrays)


def refuse_traced(held: Sequence[Held]) -> None:
    """FaninError for arrays of a program that jit or vmap is tracing: they have no values."""
    for item in held:
        if isinstance(item.value, jax.core.Tracer):
            raise FaninError(
                f"{'.'.join(item.path)} of shape {item.shape} is being traced by jit, vmap or "
                "grad, where no weight has a value. Initialize outside: draw the weights first, "
                "and pass them into the compiled function; to have them sharded, give abstract "
                "arrays (jax.eval_shape) whose .sharding says how."
            )
