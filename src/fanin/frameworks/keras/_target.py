"""Target: a model of Keras that is planned for or written into."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras

from fanin.errors import FaninError
from fanin.frameworks._adapter import Draw, Written
from fanin.frameworks._buffers import BufferProof, list_unproved
from fanin.frameworks._naming import check_prefix
from fanin.frameworks._stored import HowDrawn, Stored
from fanin.frameworks.keras._inputs import call_arguments
from fanin.frameworks.keras._restart import restart
from fanin.frameworks.keras._slot import Slot
from fanin.frameworks.keras._slots import slots
from fanin.frameworks.keras._stored import list_stored
from fanin.frameworks.keras._twins import TWINS
from fanin.frameworks.keras._walk import buffers, layers_of
from fanin.graph import Graph, NoGraphError
from fanin.recipes import Probe

_REFUSED = (
    ("shards", "Keras models are spread by keras.distribution: set a layout there"),
    ("device", "build the model on its device, under keras.device(...)"),
    ("buffers", "assign them: variable.assign(value)"),
)


class Target:
    """What `fanin.frameworks._adapter.Target` says, of a keras.Layer."""

    def __init__(self, model: Any, rename: Mapping[str, str] | None, prefix: str) -> None:
        self._model, self._rename, self.prefix = model, rename, check_prefix(prefix)
        self.slots: dict[str, Slot] = {
            slot.param.name: slot for slot in slots(model, rename, self.prefix)
        }

    @property
    def library(self) -> str:
        """Whose layers store the weights."""
        return "keras"

    @property
    def notes(self) -> Sequence[str]:
        """Nothing that its rows do not tell."""
        return ()

    def trace(self, inputs: object) -> Graph:
        """The graph of one run without values, by the tracer of the back end's framework."""
        module = _runner()
        arguments = call_arguments(self._model, inputs, module.symbolic)
        graph: Graph = module.trace(self._model, arguments, self._rename)
        return graph

    def measure(self, inputs: object, graph: Graph) -> Graph:
        """The graph with what a run in train mode shows of its nodes."""
        module = _runner()
        arguments = call_arguments(self._model, inputs, module.symbolic)
        measured: Graph = module.measure(self._model, arguments, graph, self._rename)
        return measured

    def probe(self, inputs: object, seed: int) -> Probe:
        """Keras models are not measured."""
        raise FaninError(
            "recipes that measure, such as lsuv, run models of PyTorch and JAX. Choose another "
            "one, or measure such a model of the same names: its plan draws this one, too."
        )

    def find_origin(self, name: str) -> None:
        """What a constructor drew is not found out: layers tell their initializers."""

    def is_untouched(self, name: str) -> bool:
        """Not known."""
        return False

    def chance_buffers(self) -> Sequence[str]:
        """None: Keras's layers draw no buffers that a run reads."""
        return ()

    def prove_buffers(self, build: Callable[[], Any] | None) -> Sequence[BufferProof]:
        """Every buffer by name; arrays do not say how they were made."""
        return list_unproved(self.buffer_names(), build)

    def find_drawn_buffers(self) -> Sequence[str]:
        """None that is known."""
        return ()

    def buffer_names(self) -> Iterable[str]:
        """Every variable that no gradient changes, by its canonical name."""
        found = buffers(layers_of(self._model))
        return [places[0].name for places in found.values()]

    def list_stored(
        self, choices: Mapping[str, HowDrawn], seed: int
    ) -> tuple[list[Stored], dict[str, str]]:
        """Every variable of a layer, by its path in weight files."""
        return list_stored(self._model, self.slots, choices, seed)

    def write(
        self, draws: Mapping[str, Draw], seed: int, buffers: Mapping[str, Any] | None
    ) -> Written:
        """Write all; what can fail was rehearsed."""
        _refuse("buffers", buffers)
        items = [(self.slots[name], draw.initializer, draw.axes) for name, draw in draws.items()]
        same = TWINS.find(items, seed)
        for slot, initializer, axes in items:
            if initializer is not None:
                slot.write(initializer, seed, axes)
        for name, draw in draws.items():
            if draw.like is not None:
                self.slots[name].variable.assign(self.slots[draw.like].variable)
        TWINS.remember(items, seed)
        drawn = {id(slot.variable) for slot, initializer, _ in items if initializer is not None}
        return Written(same, restart(layers_of(self._model), drawn))


def _runner() -> Any:
    """What makes an input of a shape alone, traces a run, and measures one, by the back end."""
    backend = keras.config.backend()
    if backend == "torch":
        from fanin.frameworks.keras import _on_torch

        return _on_torch
    if backend == "jax":
        from fanin.frameworks.keras import _on_jax

        return _on_jax
    raise NoGraphError(
        f"Keras computes with {backend} here, whose programs are not read; a plan "
        "that is made with KERAS_BACKEND=jax or torch applies to this model, too."
    )


def target(
    model: Any,
    *,
    rename: Mapping[str, str] | None = None,
    shards: Mapping[str, object] | None = None,
    device: object = None,
    prefix: str = "",
) -> Target:
    """A model to plan for or to write into."""
    if sys.modules.get("keras") is not keras:
        raise FaninError(
            "the back end of Keras was changed by keras.config.set_backend when fanin knew the "
            "one before. Choose it once, by the environment variable KERAS_BACKEND."
        )
    _refuse("shards", shards)
    _refuse("device", device)
    return Target(model, rename, prefix)


def _refuse(name: str, value: object) -> None:
    if value is not None:
        raise FaninError(f"{name} is given for a model of Keras; {dict(_REFUSED)[name]}.")
