"""Recurrent modules: which there are, and how many matrices each packs into a weight."""

from torch import nn

RECURRENT = (nn.RNNBase, nn.RNNCellBase)

_GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def gates_of(module: nn.Module) -> int:
    """How many matrices a recurrent module packs into one weight."""
    return _GATES[kind_of(module)]


def kind_of(module: nn.Module) -> str:
    if isinstance(module, (nn.LSTM, nn.LSTMCell)):
        return "lstm"
    return "gru" if isinstance(module, (nn.GRU, nn.GRUCell)) else "rnn"
