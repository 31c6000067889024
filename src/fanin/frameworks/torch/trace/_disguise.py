"""Disguise: code of a model that asks torch whether a tensor is fake hears that it is not."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch._subclasses.fake_tensor import FakeTensor


class _Asked(type(FakeTensor)):  # type: ignore[misc]  # the metaclass of tensors
    """Torch's own code hears the truth, and so does any code outside of a run."""

    running = False

    def __instancecheck__(cls, instance: object) -> bool:
        asks = str(sys._getframe(1).f_globals.get("__name__", ""))
        hears = not cls.running or asks.partition(".")[0] == "torch"
        return hears and isinstance(instance, FakeTensor)


class _Disguised(FakeTensor, metaclass=_Asked):
    pass


@contextmanager
def disguise() -> Iterator[None]:
    """For a while, models take the branches that they take with real tensors.

    transformers makes masks for fake ones that a real run does not have, and that some of its
    models cannot add.
    """
    before = torch._subclasses.FakeTensor
    _Asked.running = True
    setattr(torch._subclasses, "FakeTensor", _Disguised)  # noqa: B010  # mypy: a class
    try:
        yield
    finally:
        _Asked.running = False
        setattr(torch._subclasses, "FakeTensor", before)  # noqa: B010
