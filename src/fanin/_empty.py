"""empty_weights: a model is built without memory for its weights."""

from contextlib import AbstractContextManager

from fanin.errors import FaninError


def empty_weights() -> AbstractContextManager[None]:
    """A context in which models get parameters that take no memory and are not initialized.

        with fanin.empty_weights():
            model = build()
        fanin.initialize(model, seed=0)

    For PyTorch. Buffers are real. What the constructor computes for a parameter by
    deterministic operations (a decay rate, a LayerScale's 1e-6) is noted and can be restored;
    empty and random tensors are drawn by `initialize`, which makes each parameter once, in its
    dtype and on its device. Tied parameters stay tied. A constructor that reads values of a
    weight which is not drawn yet is refused with a FaninError.
    """
    try:
        from fanin.frameworks.torch import empty_weights as context
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "torch":
            raise
        raise FaninError(
            "empty_weights builds PyTorch models, and torch is not installed. "
            "Install it: pip install 'fanin[torch]'"
        ) from None
    return context()
