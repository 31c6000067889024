"""Call: one equation of a program as it is traced, with what its arguments are."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fanin.frameworks.jax.record._pointwise import FUNCTIONS
from fanin.frameworks.jax.record._record import Recorder
from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor, TensorEntry
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.graph import Values

_COMPARED = 1 << 10  # elements of constants, up to which two operations on them are compared


@dataclass(frozen=True, slots=True)
class AbstractArray:
    """The shape and the kind of numbers of a variable, as NumPy's letters: "f", "i", "b", "c"."""

    shape: tuple[int, ...]
    kind: str
    few: bool = False  # whether its numbers have fewer bits than float32

    @property
    def is_real(self) -> bool:
        """Whether it may be an activation."""
        return self.kind in "fc"

    @property
    def size(self) -> int:
        """How many elements it has."""
        return int(np.prod(self.shape, dtype=object))


@dataclass(slots=True)
class Call:
    """A primitive, its parameters, and of its arguments and results what they are."""

    name: str
    params: Mapping[str, Any]
    entries: list[TensorEntry]
    ins: list[AbstractArray]
    outs: list[AbstractArray]
    recorder: Recorder

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first result."""
        return self.outs[0].shape

    def activation(self, at: int) -> ActivationTensor:
        """The node of an argument."""
        return self.recorder.activation(self.entries[at], self.ins[at].shape)

    def active(self) -> list[int]:
        """The arguments that are activations, those of real numbers alone where there are any."""
        found = [at for at, entry in enumerate(self.entries) if isinstance(entry, ActivationTensor)]
        return [at for at in found if self.ins[at].is_real] or found

    def view(self, label: str = "") -> ActivationTensor:
        """A node that moves or selects elements of its first activation."""
        first = (*self.active(), 0)[0]
        made: ActivationTensor = self.recorder.emit(
            "view", [self.activation(first)], self.shape, label=label or self.name
        )
        return made

    def value(self, at: int) -> Any:
        """The values of an argument; None where they are not known."""
        entry = self.entries[at]
        if isinstance(entry, ParameterTensor) or (
            isinstance(entry, ConstantTensor) and entry.noise
        ):
            return None
        return entry.value

    def number(self, at: int) -> float | None:
        """The number that an argument stands for: a constant of one value."""
        entry = self.entries[at]
        if not isinstance(entry, ConstantTensor) or entry.value is None or entry.noise is not None:
            return None
        flat = np.asarray(entry.value).reshape(-1)
        if not flat.size or flat.dtype.kind not in "fiub":
            return None
        same = flat.size == 1 or bool((flat == flat[0]).all())
        return float(flat[0]) if same else None

    def function(self, active: list[int]) -> Callable[..., Values]:
        """The primitive as a function of these arguments on float64 arrays, the others bound."""
        bound = [self.number(at) for at in range(len(self.entries))]
        masks = [shaped.kind == "b" for shaped in self.ins]
        places = {at: place for place, at in enumerate(active)}
        run = FUNCTIONS[self.name](self.params)

        def function(*arrays: Values) -> Values:
            args: list[Any] = []
            for at, number in enumerate(bound):
                value = arrays[places[at]] if at in places else np.asarray(number, np.float64)
                args.append(value != 0 if masks[at] else value)
            with np.errstate(all="ignore"):
                return np.asarray(run(*args)).astype(np.float64)

        return function

    def key(self) -> Hashable:
        """The equation and its arguments by value; None where a value is not known."""
        given: list[Hashable] = []
        for entry, shaped in zip(self.entries, self.ins, strict=True):
            if isinstance(entry, ActivationTensor):
                given.append((self.recorder.twin(entry.node), shaped.shape))
            elif isinstance(entry, ParameterTensor):
                given.append((entry, shaped.shape))
            elif entry.value is None or entry.noise is not None or shaped.size > _COMPARED:
                return None
            else:
                array = np.asarray(entry.value)
                given.append((array.dtype.str, array.tobytes(), array.shape))
        params = tuple((name, str(value)) for name, value in self.params.items())
        return self.name, params, tuple(given)
