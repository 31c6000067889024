"""Levels: the layers of recurrent modules, as their rules see them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fanin._columns import list_names
from fanin.checks._measurement import Measurement
from fanin.frameworks import Gate, Gates

LISTED = 4  # names
_PASSING = ("input", "output", "update")
_CLOSED = 0.02  # of one, the share that passes: such biases are chosen to remember, not to learn


@dataclass(frozen=True, slots=True)
class Level:
    """One layer of a recurrent module in one direction: means over the calls of the module."""

    kind: str  # "lstm", "gru", "rnn"
    module: str
    node: int  # of the first call
    gates: Gates
    from_inputs: float
    from_state: float
    from_bias: float
    flat: float
    growth: float | None

    def add_name(self, name: str) -> str:
        return f"{self.module}.{name}" if self.module else name

    @property
    def inputs(self) -> str:
        return self.add_name(self.gates.inputs)

    @property
    def state(self) -> str:
        return self.add_name(self.gates.state)

    @property
    def biases(self) -> tuple[str, str]:
        into, back = (
            name.replace("weight", "bias", 1) for name in (self.gates.inputs, self.gates.state)
        )
        return self.add_name(into), self.add_name(back)

    @property
    def read_scale(self) -> float:
        """What reads the inputs, at the largest gate: RMS sqrt(features), 1 where it keeps them."""
        largest = max(part.inputs_rms for part in self.gates.parts)
        return float(largest * math.sqrt(self.gates.read))

    @property
    def state_scale(self) -> float:
        """The same of the state; about the largest spectral radius of a gate's matrix."""
        largest = max(part.state_rms for part in self.gates.parts)
        return float(largest * math.sqrt(self.gates.kept))

    @property
    def taken(self) -> Gate:
        """The matrix that makes what the state takes up."""
        return next(part for part in self.gates.parts if not part.name)

    @property
    def closed(self) -> str:
        """The gate that lets next to nothing into the state or out of it; "" for none."""
        for part in self.gates.parts:
            passed = 1.0 if part.opened is None else part.opened
            passed = 1 - passed if part.name == "update" else passed  # GRU: what it keeps
            if part.name in _PASSING and passed < _CLOSED:
                place = self.module or "the model"
                return f"The {part.name} gate of {place} lets {passed:.2%} through."
        return ""

    @property
    def parts(self) -> dict[str, float]:
        """What adds to the arguments of tanh, by the parameter that makes it."""
        made = self.from_inputs, self.from_state, self.from_bias
        return dict(zip((self.inputs, self.state, self.biases[0]), made, strict=True))


def levels_of(m: Measurement) -> Iterator[list[Level]]:
    """The layers of every recurrent module, in the order of the run."""
    calls: dict[str, dict[tuple[str, int], list[tuple[int, Gates]]]] = {}
    for node, several in m.gates.items():
        place = m.nodes[node].module
        for at, gates in enumerate(several):
            calls.setdefault(place, {}).setdefault((gates.inputs, at), []).append((node, gates))
    for place, layers in calls.items():
        levels = [_level(m, place, seen) for seen in layers.values()]
        trained = [level for level in levels if level.inputs not in m.stuck]
        if trained:
            yield trained


def _level(m: Measurement, place: str, seen: list[tuple[int, Gates]]) -> Level:
    node, gates = seen[0]

    def mean(field: str) -> float:
        return sum(getattr(each, field) or 0.0 for _, each in seen) / len(seen)

    growths = [each.growth for _, each in seen if each.growth is not None]
    growth = max(growths) if growths else _of_calls(m, [at for at, _ in seen])
    return Level(
        m.nodes[node].function,
        place,
        node,
        gates,
        mean("from_inputs"),
        mean("from_state"),
        mean("from_bias"),
        mean("flat"),
        growth,
    )


def _of_calls(m: Measurement, nodes: list[int]) -> float | None:
    """The gradient at the first call of a cell over that at the last; less what each call adds."""
    first, last = (m.gradients[nodes[at]] for at in (0, -1))
    return first / last / len(nodes) if first is not None and last else None


def open_gates(levels: Sequence[Level]) -> str:
    """What to write for biases that close gates or fill states."""
    first, second = (list_names([each.biases[at] for each in levels], LISTED) for at in (0, 1))
    if levels[0].kind == "lstm":
        return f"forget_gate() for {first} and zeros() for {second}"
    return f"zeros() for {first} and {second}"


def tell_closed(levels: Sequence[Level]) -> tuple[str, str]:
    """Of gates that let next to nothing through: which, and what to write; "" where none does."""
    shut = [level for level in levels if level.closed]
    return (shut[0].closed, open_gates(shut)) if shut else ("", "")
