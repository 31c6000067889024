"""Recipe: a rule for all parameters of a model."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from fanin.axes import Axes
from fanin.graph import Graph
from fanin.initializers import Initializer
from fanin.param import Param
from fanin.recipes._choice import Choice
from fanin.streams import Array

Params = Mapping[str, Param]
GivenInitializers = Mapping[str, Initializer]
Needs = Literal["shapes", "graph", "values", "data"]


class Probe(Protocol):
    """What an adapter offers: a copy of a model's weights, and a batch to run it on.

    `sees_weights` says that what any weight gives can be measured, not only what modules return.
    """

    sees_weights: bool

    def write(self, name: str, initializer: Initializer, axes: Axes | None) -> None:
        """Give a parameter of the copy the values that the plan will give it."""

    def variance(self, place: str) -> float:
        """The variance of all values that a place gives when it first runs on the batch.

        That is a module by its path, which returns them; of a probe that `sees_weights` a weight
        by its name, with the bias behind it.
        """

    def read(self, name: str) -> Array:
        """The values of a parameter of the copy in float64; FaninError of a quantized one."""

    def store(self, name: str, values: Array) -> Initializer:
        """Put values into a parameter of the copy; the initializer with what its type made of them.

        FaninError where its type cannot hold them.
        """

    def measure_inputs(self, names: Collection[str]) -> Mapping[str, tuple[Array, Array]]:
        """E[x] and E[x x^T] of what each of these weights multiplies on the batch, dropout off."""

    def differentiate(
        self, names: Collection[str], loss: Callable[[Any], Any] | None
    ) -> Mapping[str, Array]:
        """The gradient of the loss on the batch by each of these weights, dropout off.

        The loss is that of the model's output, or the one that the model returns.
        """


def _tell_nothing(params: Params, graph: Graph | None) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class Recipe:
    """`choose(params, graph, given)` returns a choice for every parameter that it can place.

    `given` are the initializers that the user fixed by name. `source` is the paper or the code
    that the rule comes from. `needs` is what it cannot do without: "shapes", a "graph" (else
    graph may be None), "values", or "data", values and a batch that is none by chance. One that
    needs values is made for a model: `measuring(probe)` is the recipe then, and `choose` is not
    called. `notes(params, graph)` is what a plan tells beside its rows: what the recipe needs of
    the model and the run did not show.
    """

    name: str
    choose: Callable[[Params, Graph | None, GivenInitializers], dict[str, Choice]]
    source: str
    needs: Needs = "shapes"
    measuring: "Callable[[Probe], Recipe] | None" = None
    notes: Callable[[Params, Graph | None], list[str]] = _tell_nothing

    @property
    def needs_values(self) -> bool:
        """Whether it cannot do without the values of a model."""
        return self.needs in ("values", "data")

    @property
    def needs_graph(self) -> bool:
        """Whether it cannot do without a run of the model."""
        return self.needs != "shapes"
