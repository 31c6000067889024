"""The article's network of 55 million weights: initialized, and trained on the device there is."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fanin import initializers
from fanin.streams import Stream

RATE, TARGET = 0.05, 0.33


def shapes(widths: Sequence[int]) -> dict[str, tuple[int, int]]:
    """The weights' shapes by name, (out, in)."""
    pairs = zip(widths[1:], widths[:-1], strict=True)
    return {f"layers.{index}.weight": pair for index, pair in enumerate(pairs)}


def contenders(widths: Sequence[int]) -> dict[str, Callable[[], object]]:
    """What draws all weights, N(0, 1), into memory that is already there; one thread each."""
    arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes(widths).items()}
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    generator = np.random.default_rng(0)

    def fanin() -> None:
        for name, array in arrays.items():
            Stream(0, name).normal(array.shape, out=array, threads=1)

    def numpy() -> None:
        for array in arrays.values():
            generator.standard_normal(dtype=np.float32, out=array)

    def by_torch() -> None:
        for tensor in tensors.values():
            tensor.normal_()

    return {"fanin": fanin, "torch": by_torch, "NumPy": numpy}


def train(widths: Sequence[int], inputs: int, epochs: int, device: str) -> dict[str, Any]:
    """Milliseconds to initialize and to train: full-batch SGD on the quadratic cost, float32.

    tanh, then sigmoids; weights by scratch_normal and normal biases, as the series has them. A
    small network goes first, so that nothing is loaded while the clock runs.
    """
    _time([100, 50, 10], 10, 1, device)
    begin, ready, end, last = _time(widths, inputs, epochs, device)
    if not math.isfinite(last):
        raise ArithmeticError(f"the loss is {last} after {epochs} epochs")
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else "CPU",
        "inputs": inputs,
        "epochs": epochs,
        "loss": last,
        "initialize_ms": 1000 * (ready - begin),
        "train_ms": 1000 * (end - ready),
    }


def _time(
    widths: Sequence[int], inputs: int, epochs: int, device: str
) -> tuple[float, float, float, float]:
    """The clock before the weights are drawn, then after, and after training; the last loss."""
    images = torch.from_numpy(Stream(0, "inputs").uniform((inputs, widths[0]))).to(device)
    _wait(device)
    begin = time.perf_counter()
    drawn = [
        torch.from_numpy(initializers.get(rule)(shape, seed=0, name=name))
        for name, shape, rule in _parameters(widths)
    ]
    at = [value.to(device).requires_grad_() for value in drawn]
    _wait(device)
    ready = time.perf_counter()
    for _ in range(epochs):
        loss = _loss(at, images)
        gradients = torch.autograd.grad(loss, at)
        with torch.no_grad():
            for value, gradient in zip(at, gradients, strict=True):
                value.sub_(gradient, alpha=RATE)
    last = float(loss.detach())  # waits for the device
    _wait(device)
    return begin, ready, time.perf_counter(), last


def _parameters(widths: Sequence[int]) -> Iterator[tuple[str, tuple[int, ...], str]]:
    """Name, shape and rule: weight, bias, weight, bias, ..."""
    for name, shape in shapes(widths).items():
        yield name, shape, "scratch_normal"
        yield name.replace("weight", "bias"), shape[:1], "normal(0, 1)"


def _loss(at: Sequence[Tensor], images: Tensor) -> Tensor:
    signal = images
    for number in range(0, len(at), 2):
        signal = torch.nn.functional.linear(signal, at[number], at[number + 1])
        signal = torch.sigmoid(signal) if number else torch.tanh(signal)
    return (signal - TARGET).square().mean() / 2


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
