"""Target: a JAX model that is planned for, or new arrays of which are made."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fanin.errors import FaninError
from fanin.frameworks._adapter import Draw, Written
from fanin.frameworks.jax.doors._door import Door, refuse_traced
from fanin.frameworks.jax.trace._trace import trace
from fanin.frameworks.jax.tree._names import names_of
from fanin.frameworks.jax.tree._params import params_of
from fanin.frameworks.jax.write._slot import Slot
from fanin.graph import Graph
from fanin.recipes import Probe


class Target:
    """What `fanin.frameworks._adapter.Target` says, of a model behind a door."""

    def __init__(self, door: Door, rename: Mapping[str, str] | None, prefix: str) -> None:
        self._door, self.prefix = door, prefix
        refuse_traced(door.held)
        self._names = names_of(door.held, rename)
        params = params_of(door.held, self._names)
        self._at = {param.name: at for at, param in params.items()}
        self.slots: dict[str, Slot] = {
            param.name: Slot(param, door.held[at].value, prefix) for at, param in params.items()
        }

    @property
    def library(self) -> str:
        """The package whose layers store the weights."""
        return self._door.library

    @property
    def notes(self) -> Sequence[str]:
        """What is to be told of the model."""
        return self._door.notes

    def trace(self, inputs: object) -> Graph:
        """The graph of one run on abstract arrays."""
        return trace(self._door.program(inputs, self._names))

    def probe(self, inputs: object, seed: int) -> Probe:
        """Not yet."""
        raise FaninError(
            "recipe lsuv measures on a real run, which fanin does not do of JAX models yet; use "
            "recipe auto, which follows the signal through the traced program."
        )

    def measure(self, inputs: object, graph: Graph) -> Mapping[int, float]:
        """Models of JAX are not run for a plan."""
        raise FaninError("models of JAX are not run with their values for a plan.")

    def find_origin(self, name: str) -> None:
        """Arrays do not say how they were made."""

    def chance_buffers(self) -> Sequence[str]:
        """None: a program shows no values."""
        return ()

    def buffer_names(self) -> Iterable[str]:
        """Every array that is not trained."""
        pairs = zip(self._names, self._door.held, strict=True)
        return [name for name, item in pairs if not item.trained]

    def write(
        self, draws: Mapping[str, Draw], seed: int, buffers: Mapping[str, Any] | None
    ) -> Written:
        """All is drawn before any of it is put in place."""
        if buffers:
            raise FaninError(
                "buffers is given, and a JAX model has none; put arrays that are not trained "
                "into the model or its variables."
            )
        values = {
            self._at[name]: self.slots[name].drawn(draw.initializer, seed, draw.axes)
            for name, draw in draws.items()
            if draw.initializer is not None
        }
        return Written([], [], self._door.put(values, seed))
