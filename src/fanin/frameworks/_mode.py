"""Mode: a model in train or eval mode, in the way of its library."""

import sys
from typing import Any


def in_mode(model: Any, train: bool) -> Any:
    """The model, or a new one, in this mode; as it is where its library's models have none."""
    turn = getattr(model, "train" if train else "eval", None)
    equinox = sys.modules.get("equinox")
    if equinox is not None and isinstance(model, equinox.Module):
        return equinox.nn.inference_mode(model, value=not train)
    if callable(turn):
        turn()
    return model
