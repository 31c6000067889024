"""Program: a model as a function of the arrays that it holds, which is all that a trace needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Array = Any  # a jax.Array, or a jax.ShapeDtypeStruct of one without memory


@dataclass(frozen=True, slots=True)
class Leaf:
    """One array of a model; `name` is canonical: "layers.0.weight" of any library's kernel."""

    name: str
    value: Array
    trained: bool  # a parameter; else a constant or a state, such as running statistics
    module: str  # dotted path of what holds it


@dataclass(frozen=True, slots=True)
class Program:
    """`function(values, *inputs)`, with values in the order of `leaves`, gives the outputs.

    Whatever the model changes while it runs stays inside the function. `inputs` is the tuple of
    positional arguments that vary: arrays, abstract or not, or trees of them; what is no array, a
    flag say, is bound in the function.
    """

    function: Callable[..., Any]
    leaves: tuple[Leaf, ...]
    inputs: tuple[Any, ...]

    @property
    def values(self) -> Sequence[Array]:
        """The arrays that it holds now."""
        return [leaf.value for leaf in self.leaves]
