"""Gates: what works inside of a recurrent module, layer by layer, on the inputs of a real run."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from fanin.frameworks._observation import Gate, Gates
from fanin.frameworks.torch.observe._look import norm, rms
from fanin.frameworks.torch.runs._tensors import tensors_in
from fanin.frameworks.torch.tree._recurrent import gates_of

_SEQUENCES = 64  # of a batch, that are looked at
_RUNS: dict[str, Any] = {
    "lstm": torch.lstm,
    "gru": torch.gru,
    "tanh": torch.rnn_tanh,
    "relu": torch.rnn_relu,
}
# The matrices that torch packs, in their order; "" makes what the state takes up.
_PARTS = {4: ("input", "forget", "", "output"), 3: ("reset", "update", ""), 1: ("",)}
_FORWARDS = {
    kind.forward for kind in (nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell, nn.RNNCell)
}


def gates(
    module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], flat: float
) -> tuple[Gates, ...]:
    """What the layers of a module do in a call of it; none where its forward is the user's own.

    `flat` is a slope, as a share of the largest. Dropout between layers is left out.
    """
    given: dict[str, Any] = dict(zip(("input", "hx"), args, strict=False)) | dict(kwargs)
    if type(module).forward not in _FORWARDS or "input" not in given:
        return ()
    values, real = _sequence(module, given["input"])
    if not values.numel():
        return ()
    states = [_split_layers(item, values.shape[1]) for item in tensors_in(given.get("hx"))]
    values, real = values[:, :_SEQUENCES], real[:, :_SEQUENCES]
    names: list[list[str]] = getattr(module, "_all_weights", None) or [_names_of_cell(module)]
    directions = 2 if getattr(module, "bidirectional", False) else 1
    found = []
    for first in range(0, len(names), directions):
        outputs = []
        for at in range(first, first + directions):
            before = [state[at : at + 1, :_SEQUENCES] for state in states]
            turn = [0] if at > first else []
            layer = _GatedLayer(module, names[at], before)
            made, output = layer.look(values.flip(turn), real.flip(turn), flat)
            if not bool(output.isfinite().all()):
                return ()  # whoever made the first such number is to blame
            found.append(made)
            outputs.append(output.flip(turn))
        values = torch.cat(outputs, -1)
    return tuple(found)


def _sequence(module: nn.Module, given: Any) -> tuple[Tensor, Tensor]:
    """What a module reads, (steps, batch, features), and where of (steps, batch) it is real."""
    if isinstance(given, PackedSequence):
        values, lengths = pad_packed_sequence(given)
        return values, torch.arange(len(values), device=values.device)[:, None] < lengths.to(
            values.device
        )
    values = given.detach()
    if isinstance(module, nn.RNNCellBase):
        values = values.reshape(1, -1, values.shape[-1])
    elif values.dim() == 2:
        values = values[:, None]
    elif getattr(module, "batch_first", False):
        values = values.transpose(0, 1)
    return values, torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)


def _split_layers(state: Tensor, batch: int) -> Tensor:
    """A state as (layers, batch, features)."""
    return state.detach().reshape(-1, batch, state.shape[-1])


def _names_of_cell(module: nn.Module) -> list[str]:
    biases = ["bias_ih", "bias_hh"] if getattr(module, "bias_ih", None) is not None else []
    return ["weight_ih", "weight_hh", *biases]


class _GatedLayer:
    """One layer in one direction: its parameters, and the states from which it starts."""

    def __init__(self, module: nn.Module, names: Sequence[str], states: list[Tensor]) -> None:
        self._names = names
        self._weights = [getattr(module, name).detach() for name in names]
        self._count = gates_of(module)
        self._kind = {4: "lstm", 3: "gru"}.get(self._count) or str(module.nonlinearity)
        self._hidden = len(self._weights[1]) // self._count
        self._states = states

    def look(self, values: Tensor, real: Tensor, flat: float) -> tuple[Gates, Tensor]:
        """What is seen of the layer on (steps, batch, features), and what it gives."""
        biased = len(self._weights) > 3
        into, back, *biases = self._weights[: 4 if biased else 2]
        kept = back.shape[1]
        sizes = (kept, self._hidden) if self._kind == "lstm" else (kept,)
        states = self._states or [values.new_zeros(1, values.shape[1], size) for size in sizes]
        output, growth = self._run(values, states, biased)
        before = torch.cat([states[0], output[:-1]])
        read, fed = linear(values, into), linear(before, back)
        shifts = biases or [values.new_zeros(len(into))] * 2
        given = read + fed + shifts[0] + shifts[1]
        opened: Any = 1.0
        if self._kind == "gru":  # its reset gate opens what comes from the state, bias and all
            opened = torch.sigmoid(self._part(given, 0))
        made = _PARTS[self._count].index("")
        own, again, *held = (self._part(item, made) for item in (read, fed, *shifts))
        total = own + held[0] + opened * (again + held[1])
        steep = torch.tanh(total[real]).square() < 1 - flat
        found = Gates(
            self._names[0],
            self._names[1],
            into.shape[1],
            kept,
            self._hidden,
            self._parts(given[real]),
            rms(own[real]),
            rms((opened * again)[real]),
            rms(held[0] + held[1]),
            None if self._kind == "relu" else 1 - float(steep.float().mean()),
            growth,
        )
        return found, output

    def _parts(self, given: Tensor) -> tuple[Gate, ...]:
        """Every matrix, and how far its gate is open when it is given this."""
        into, back = self._weights[:2]
        return tuple(
            Gate(
                name,
                rms(self._part(into, at, 0)),
                rms(self._part(back, at, 0)),
                float(torch.sigmoid(self._part(given, at)).mean()) if name else None,
            )
            for at, name in enumerate(_PARTS[self._count])
        )

    def _part(self, packed: Tensor, at: int, axis: int = -1) -> Tensor:
        return packed.chunk(self._count, axis)[at]

    def _run(
        self, values: Tensor, states: list[Tensor], biased: bool
    ) -> tuple[Tensor, float | None]:
        first = states if self._kind == "lstm" else states[0]
        with torch.enable_grad():
            values = values.detach().requires_grad_(len(values) > 1)
            run = _RUNS[self._kind]
            output = run(values, first, self._weights, biased, 1, 0.0, True, False, False)[0]
            if len(values) == 1:
                return output.detach(), None
            chosen = torch.Generator("cpu").manual_seed(0)
            weights = torch.randn(output.shape[1:], generator=chosen, device="cpu").to(output)
            (gradient,) = torch.autograd.grad((output[-1] * weights).sum(), values)
        last = norm(gradient[-1])
        return output.detach(), norm(gradient[0]) / last if last > 0 else None
