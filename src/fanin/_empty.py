"""empty_weights: a model is built without memory for its weights."""

from contextlib import AbstractContextManager

from fanin.errors import FaninError


def empty_weights() -> AbstractContextManager[None]:
    """A context in which models get parameters that take no memory and are not initialized.

    For PyTorch; it takes no arguments. Buffers are real. What the constructor computes for a
    parameter by deterministic operations (a decay rate, a LayerScale's 1e-6) is noted and can be
    restored; empty and random tensors are drawn by `initialize`, which makes each parameter once,
    in its dtype and on its device. Tied parameters stay tied.

    Returns the context manager. Raises FaninError where torch is not installed, and, inside,
    where a constructor reads values of a weight which is not drawn yet.

    >>> import fanin, torch
    >>> with fanin.empty_weights():
    ...     model = torch.nn.Linear(50_000, 50_000)  # 10 GB, were it real
    >>> model.weight.is_meta
    True
    >>> fanin.plan(model)["weight"].std
    0.00447213595499958
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
