"""Recurrent layers: those that do what torch's do, and so are one node of a run."""

from typing import Any

import keras

_layers = keras.layers
# By the class of the cell: the kind, and the activations that torch's layer has.
_KINDS: tuple[tuple[type, str, dict[str, str]], ...] = (
    (_layers.LSTMCell, "lstm", {"activation": "tanh", "recurrent_activation": "sigmoid"}),
    (_layers.GRUCell, "gru", {"activation": "tanh", "recurrent_activation": "sigmoid"}),
    (_layers.SimpleRNNCell, "rnn", {}),
)


def kind_of(layer: Any) -> str | None:
    """The kind of a recurrent layer or cell; None of one that torch has no like of, and others."""
    cell = layer.cell if isinstance(layer, _layers.RNN) else layer
    for kind, name, wanted in _KINDS:
        if isinstance(cell, kind):
            own = {at: getattr(getattr(cell, at), "__name__", "") for at in wanted}
            return name if own == wanted else None
    return None
