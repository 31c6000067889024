"""Alone: one run of a model at a time, with the random states of the process put back."""

import gc
import random
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

# Random states, and whether compiled code runs, belong to the process, not to a thread.
_LOCK = threading.RLock()


@contextmanager
def run_alone(*, seeded: bool, devices: list[Any] | None = None) -> Iterator[None]:
    """No other thread is here meanwhile; the random states are as they were in the end.

    `seeded` gives Python, NumPy and torch on the CPU fixed states. `devices` are CUDA devices
    whose states are put back too.
    """
    numpy = sys.modules["numpy"]
    with ExitStack() as stack:
        stack.enter_context(_LOCK)
        stack.enter_context(torch.random.fork_rng(devices or []))
        stack.callback(random.setstate, random.getstate())
        stack.callback(numpy.random.set_state, numpy.random.get_state())
        if seeded:
            random.seed(0)
            numpy.random.seed(0)
            torch.default_generator.manual_seed(0)
        yield


@contextmanager
def pause_collection() -> Iterator[None]:
    """Nothing is searched for garbage meanwhile.

    A trace makes many objects, and holds them all; so it is with what is known of parameters.
    """
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
