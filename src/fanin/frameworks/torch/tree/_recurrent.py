"""Recurrent modules: which there are, and how many matrices each packs into a weight."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import nn

from fanin.axes import Axes


class Reading(NamedTuple):
    """How a recurrent layer uses a parameter; `layer` of one that reads the layer's input."""

    axes: Axes
    layer: int | None


class Recurrent(nn.Module):
    """A recurrent layer of another library that runs as a module: one node, as torch's own are.

    `kind` is "lstm", "gru" or "rnn", `call` what the layer computes, `uses` what it does with the
    parameters below it, by their names from here.
    """

    kind: str
    call: Callable[..., Any]
    uses: dict[str, Reading]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the layer gives."""
        return self.call(*args, **kwargs)


RECURRENT = (nn.RNNBase, nn.RNNCellBase, Recurrent)

_GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def gates_of(module: nn.Module) -> int:
    """How many matrices a recurrent module packs into one weight."""
    return _GATES[kind_of(module)]


def kind_of(module: nn.Module) -> str:
    if isinstance(module, Recurrent):
        return module.kind
    if isinstance(module, (nn.LSTM, nn.LSTMCell)):
        return "lstm"
    return "gru" if isinstance(module, (nn.GRU, nn.GRUCell)) else "rnn"
