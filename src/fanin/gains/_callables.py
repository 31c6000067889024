"""Functions of NumPy, JAX and torch as functions of float64 arrays, with a derivative or without.

A framework is touched only if the user imported it. Nothing of a torch module changes: its
parameters and buffers are copied, its mode stays, and the random state is put back.
"""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from importlib import import_module
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from fanin.errors import FaninError, one_line
from fanin.streams import Array


class Adapted(NamedTuple):
    """A function of float64 arrays and, where its framework differentiates, its derivative."""

    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array] | None = None


def adapt(f: Callable[..., Any], name: str) -> Adapted:
    """The function, as the first framework that can evaluate it does."""
    torch, jax = sys.modules.get("torch"), sys.modules.get("jax")
    if torch and isinstance(f, torch.nn.Module):
        ways = {"torch tensor": _of_torch(torch, f)}
    else:
        ways = {"NumPy array": _of_numpy(f)}
        ways |= {"JAX array": _of_jax(jax, f)} if jax else {}
        ways |= {"torch tensor": _of_torch(torch, f)} if torch else {}
        ways |= {"Python float": _of_numbers(f)}
    failures = []
    for kind, way in ways.items():
        try:
            _check(way.function, name)
        except FaninError:
            raise
        except Exception as error:  # whatever a function raises at an input that is not its own
            failures.append(f"with a {kind}, {one_line(error, named=True)}")
        else:
            return way
    raise FaninError(
        f"{name} cannot be evaluated: {'; '.join(failures)}. Give a function of one array that "
        "works on each element."
    )


def _check(function: Callable[[Array], Array], name: str) -> None:
    """Refuse what is not a function of each element by itself."""
    # Neither sorted nor symmetric: a sort, a running sum or a mean shows in a part of it.
    x = np.random.default_rng(0).normal(size=64)

    def evaluate(x: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(function(x))

    y = evaluate(x)
    if y.shape != x.shape:
        raise FaninError(
            f"{name} has no gain: it makes {y.shape} of an input of shape {x.shape}. Gated and "
            "reducing functions have none; take the gain of the function inside."
        )
    if not (np.issubdtype(y.dtype, np.number) or y.dtype == bool) or np.iscomplexobj(y):
        raise FaninError(f"{name} has no gain: its values are {y.dtype}, and not real numbers.")
    if not np.array_equal(y, evaluate(x), equal_nan=True):
        raise FaninError(
            f"{name} has no gain: two calls with one input differ, so it is random. "
            "Take the gain of what it is in evaluation."
        )
    # Wide enough for functions that compute in float32, whose last bits depend on the layout.
    if not np.allclose(y[1::2], evaluate(x[1::2]), rtol=1e-4, atol=1e-5, equal_nan=True):
        raise FaninError(
            f"{name} has no gain: one output depends on other inputs than its own, "
            "so the law of one input does not give its moments."
        )


def _of_numpy(f: Callable[..., Any]) -> Adapted:
    def function(x: Array) -> Array:
        y = f(x.copy())
        if not isinstance(y, np.ndarray | np.generic | float | int | bool):
            raise TypeError(f"it returned a {type(y).__name__}")
        return np.asarray(y)

    return Adapted(function)


def _of_numbers(f: Callable[..., Any]) -> Adapted:
    """A function of one Python number, such as math.tanh."""

    def function(x: Array) -> Array:
        return np.array([float(f(number)) for number in x.ravel().tolist()]).reshape(x.shape)

    return Adapted(function)


def double_precision(jax: Any) -> AbstractContextManager[Any]:
    """JAX's float64 for a while; JAX 0.5 has it among its experiments."""
    found = jax if hasattr(jax, "enable_x64") else import_module("jax.experimental")
    context: AbstractContextManager[Any] = found.enable_x64(True)
    return context


def _of_jax(jax: Any, f: Callable[..., Any]) -> Adapted:
    def call(g: Callable[..., Any], x: Array) -> Array:
        # JAX compiles once for each shape; a power of two leaves it few.
        padded = np.zeros(1 << max(x.size - 1, 63).bit_length())
        padded[: x.size] = x.ravel()
        # Another size would hide a function that depends on its input's shape: not while probed.
        flat = padded if x.ndim > 1 else x
        with double_precision(jax):
            found = g(jax.numpy.asarray(flat))
        if not isinstance(found, jax.Array):
            raise TypeError(f"it returned a {type(found).__name__}")
        y = np.asarray(found)
        return y[: x.size].reshape(x.shape) if x.ndim > 1 else y

    return Adapted(lambda x: call(f, x), lambda x: call(jax.vmap(jax.grad(f)), x))


def _of_torch(torch: Any, f: Callable[..., Any]) -> Adapted:
    """In float64 on the CPU."""
    call = partial(_call_module, torch, f) if isinstance(f, torch.nn.Module) else f
    seeds = count()

    def with_grad(enabled: bool) -> ExitStack:
        stack = ExitStack()
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(enabled))
        # Put back what the function draws; each call draws otherwise, or `_check` saw nothing.
        stack.enter_context(torch.random.fork_rng(devices=[]))
        torch.default_generator.manual_seed(next(seeds))
        return stack

    def function(x: Array) -> Array:
        with with_grad(False):
            return np.asarray(call(torch.tensor(x, device="cpu")).numpy())

    def derivative(x: Array) -> Array:
        with with_grad(True):
            leaf = torch.tensor(x, device="cpu", requires_grad=True)
            y = call(leaf.clone())  # a copy, which a function may change in place
            if not y.requires_grad:
                return np.zeros_like(x)
            return np.asarray(torch.autograd.grad(y.sum(), leaf)[0].numpy())

    return Adapted(function, derivative)


def _call_module(torch: Any, module: Any, x: Any) -> Any:
    """The module with copies of its parameters and buffers, in float64."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    copies = {
        name: tensor.detach()
        .to("cpu", torch.float64 if tensor.is_floating_point() else tensor.dtype)
        .clone()
        for name, tensor in tensors.items()
    }
    return torch.func.functional_call(module, copies, (x,))
