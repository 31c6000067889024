"""Target: a JAX model that is planned for, or new arrays of which are made."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fanin.errors import FaninError
from fanin.frameworks._adapter import Draw, Written
from fanin.frameworks._bare import long_axes
from fanin.frameworks._buffers import BufferProof, list_unproved
from fanin.frameworks._stored import HowDrawn, Stored
from fanin.frameworks.jax._stored import list_stored
from fanin.frameworks.jax.doors._door import Door, refuse_traced
from fanin.frameworks.jax.observe._probe import JaxProbe
from fanin.frameworks.jax.observe._seen import measure
from fanin.frameworks.jax.trace._trace import trace
from fanin.frameworks.jax.tree._held import Held
from fanin.frameworks.jax.tree._names import names_of
from fanin.frameworks.jax.tree._params import params_of
from fanin.frameworks.jax.write._slot import Slot
from fanin.frameworks.jax.write._twins import TWINS
from fanin.graph import Graph, NoGraphError
from fanin.param import Kind, Param


class Target:
    """What `fanin.frameworks._adapter.Target` says, of a model behind a door."""

    def __init__(
        self, door: Door, rename: Mapping[str, str] | None, prefix: str, inputs: object = None
    ) -> None:
        self._door, self.prefix = door, prefix
        self._traced: tuple[object, Graph] | None = None
        refuse_traced(door.held)
        self._names = names_of(door.held, rename)
        params = self._see_roles(params_of(door.held, self._names), inputs)
        self._at = {param.name: at for at, param in params.items()}
        self.slots: dict[str, Slot] = {
            param.name: self._slot(door.held[at], param) for at, param in params.items()
        }

    def _see_roles(self, params: dict[int, Param], inputs: object) -> dict[int, Param]:
        """The parameters, arrays of the user's own with the roles that a run shows."""
        if inputs is None or not any(map(_is_unknown, params.values())):
            return params
        try:
            graph = self.trace(inputs)
        except NoGraphError:
            return params
        return {
            at: _use_first(param, graph) if _is_unknown(param) else param
            for at, param in params.items()
        }

    def _slot(self, held: Held, param: Param) -> Slot:
        return Slot(param, held.value, self.prefix, noted=held.noted)

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
        if self._traced is None or self._traced[0] is not inputs:
            self._traced = inputs, trace(self._door.program(inputs, self._names))
        return self._traced[1]

    def probe(self, inputs: object, seed: int) -> JaxProbe:
        """A run of the model, in which every weight's output can be measured."""
        return JaxProbe(self._door.program(inputs, self._names), self.slots, seed)

    def measure(self, inputs: object, graph: Graph) -> Graph:
        """The graph with what a run shows of its nodes, in the mode that the model is in."""
        return measure(self._door.program(inputs, self._names), graph)

    def find_origin(self, name: str) -> None:
        """Arrays do not say how they were made."""

    def is_untouched(self, name: str) -> bool:
        """Not known."""
        return False

    def chance_buffers(self) -> Sequence[str]:
        """None: a program shows no values."""
        return ()

    def prove_buffers(self, build: Callable[[], Any] | None) -> Sequence[BufferProof]:
        """Every buffer by name; arrays do not say how they were made."""
        return list_unproved(self.buffer_names(), build)

    def find_drawn_buffers(self) -> Sequence[str]:
        """None that is known."""
        return ()

    def buffer_names(self) -> Iterable[str]:
        """Every array that is not trained."""
        pairs = zip(self._names, self._door.held, strict=True)
        return [name for name, item in pairs if not item.trained]

    def list_stored(
        self, choices: Mapping[str, HowDrawn], seed: int
    ) -> tuple[list[Stored], dict[str, str]]:
        """Every array but keys and counts of random numbers, by its path in the library's tree."""
        return list_stored(self._door, self._names, self.slots, choices, seed)

    def write(
        self, draws: Mapping[str, Draw], seed: int, buffers: Mapping[str, Any] | None
    ) -> Written:
        """All is drawn before any of it is put in place."""
        if buffers:
            raise FaninError(
                "buffers is given, and a JAX model has none; put arrays that are not trained "
                "into the model or its variables."
            )
        # A new tree made of abstract arrays is what it was asked for, however often.
        items = [
            (slot, draw.initializer, draw.axes)
            for name, draw in draws.items()
            if not (slot := self.slots[name]).is_empty or self._door.in_place
        ]
        same = TWINS.find(items, seed)
        values = {
            self._at[name]: self.slots[name].draw_array(draw.initializer, seed, draw.axes)
            for name, draw in draws.items()
            if draw.initializer is not None
        }
        for name, draw in draws.items():
            if draw.like is not None:
                source = self._at[draw.like]
                held = values.get(source, self.slots[draw.like].value)
                values[self._at[name]] = self.slots[name].copy_of(held)
        TWINS.remember(
            items, seed, {name: values[at] for name, at in self._at.items() if at in values}
        )
        return Written(same, [], self._door.put(values, seed))


def _is_unknown(param: Param) -> bool:
    return param.kind == "other" and long_axes(param.shape) > 1


def _use_first(param: Param, graph: Graph) -> Param:
    """A parameter as the first product or lookup uses it; unchanged where there is none."""
    kinds: dict[str, Kind] = {"linear": "weight", "lookup": "table"}
    for node in graph.nodes:
        if node.op in kinds and node.param is not None and node.param.name == param.name:
            return replace(param, kind=kinds[node.op], axes=node.param.axes)
    return param
