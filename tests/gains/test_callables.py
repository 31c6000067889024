"""Functions of NumPy, JAX and torch; and that nothing of theirs changes."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

from fanin import FaninError, gain


def test_numpy_functions() -> None:
    for f, name in (
        (np.tanh, "tanh"),
        (lambda x: np.maximum(x, 0), "relu"),
        (lambda x: np.where(x > 0, x, np.expm1(x)), "elu"),
        (lambda x: np.clip(x, -1, 1), "hardtanh"),
        (lambda x: x / (1 + abs(x)), "softsign"),
    ):
        assert gain(f) == pytest.approx(gain(name), rel=1e-9)
        assert gain(f, "backward") == pytest.approx(gain(name, "backward"), rel=1e-6)
        assert gain(f, "backward", 2.5, 0.3) == pytest.approx(
            gain(name, "backward", 2.5, 0.3), rel=1e-6
        )


@pytest.mark.parametrize("t", [0.0, 0.3, 0.9999, -1.0])
def test_slopes_of_a_numpy_function_with_a_kink_or_a_jump(t: float) -> None:
    """Where f jumps its slope is the one almost everywhere, as automatic differentiation's."""
    tail = math.erfc(t / math.sqrt(2)) / 2
    kink = gain(lambda x: np.maximum(x - t, 0), "backward")
    assert kink == pytest.approx(1 / math.sqrt(tail), rel=1e-6)
    jump = gain(lambda x: x + (x > t), "backward")
    assert jump == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("f", [math.tanh, lambda x: x if x > 0 else 0.2 * x])
def test_functions_of_one_number(f: Callable[[float], float]) -> None:
    name = "tanh" if f is math.tanh else "leaky_relu(0.2)"
    assert gain(f) == pytest.approx(gain(name), rel=1e-9)
    assert gain(f, "backward") == pytest.approx(gain(name, "backward"), rel=1e-6)


class Scaled(nn.Module):
    """A module with a parameter, a buffer and a mode."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return torch.tanh(x) * self.scale * (0.5 if self.training else 1.0)


@pytest.mark.parametrize(
    ("f", "name"),
    [
        (torch.tanh, "tanh"),
        (nn.functional.silu, "silu"),
        (nn.ReLU(inplace=True), "relu"),
        (nn.PReLU(), "prelu"),
        (nn.PReLU().half(), "prelu"),
        (nn.Sequential(nn.Identity(), nn.Hardtanh()), "hardtanh"),
        (nn.Dropout().eval(), "identity"),
        (lambda x: x.clamp(-1, 1), "hardtanh"),
        (lambda x: torch.tanh(torch.as_tensor(x)), "tanh"),
        (Scaled(), "tanh"),
    ],
)
def test_torch_functions(f: Callable[..., Any], name: str) -> None:
    assert gain(f) == pytest.approx(gain(name), rel=1e-9)
    assert gain(f, "backward") == pytest.approx(gain(name, "backward"), rel=1e-9)


def test_a_kink_that_nobody_told_to_torch() -> None:
    exact = 1 / math.sqrt(math.erfc(0.3 / math.sqrt(2)) / 2)
    assert gain(lambda x: torch.relu(x - 0.3), "backward") == pytest.approx(exact, rel=1e-9)


def test_nothing_of_torch_changes() -> None:
    module = nn.Sequential(Scaled(), nn.PReLU(), nn.Dropout().eval())
    module[1].eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    parameters = list(module.parameters())
    modes = [each.training for each in module.modules()]
    state = torch.get_rng_state()
    with torch.inference_mode():
        gain(module, "backward")
    with torch.no_grad():
        gain(module, "backward")
    gain(module)
    with pytest.raises(FaninError, match="random"):
        gain(nn.Dropout())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert all(a is b for a, b in zip(module.parameters(), parameters, strict=True))
    assert all(parameter.grad is None for parameter in parameters)
    assert [each.training for each in module.modules()] == modes
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("f", "name"),
    [
        (jnp.tanh, "tanh"),
        (jax.nn.gelu, "gelu_tanh"),
        (lambda x: jax.nn.gelu(x, approximate=False), "gelu"),
        (jax.jit(lambda x: jnp.clip(x, -1, 1)), "hardtanh"),
    ],
)
def test_jax_functions_in_float64(f: Callable[..., Any], name: str) -> None:
    assert gain(f) == pytest.approx(gain(name), rel=1e-9)
    assert gain(f, "backward") == pytest.approx(gain(name, "backward"), rel=1e-9)
    assert jnp.ones(1).dtype == jnp.float32


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize(
    ("f", "message"),
    [
        (nn.GELU, r"activation is the class GELU; give an instance, such as GELU\(\)"),
        (nn.Softmax(-1), "Softmax has no gain: one output depends on many inputs"),
        (jax.nn.softmax, "softmax has no gain: one output depends on many inputs"),
        (nn.GLU(), "GLU has no gain: it multiplies one half of its input"),
        (nn.RReLU(), "RReLU has no gain: two calls with one input differ, so it is random"),
        (nn.Dropout(), "Dropout has no gain: two calls with one input differ"),
        (nn.MultiheadAttention(4, 2), "MultiheadAttention has no gain: one output depends on"),
        (lambda x: x * torch.softmax(x, -1), "no gain: one output depends on other inputs"),
        (lambda x: x - x.mean(), "this function has no gain: one output depends on other inputs"),
        (np.sort, "sort has no gain: one output depends on other inputs"),
        (np.cumsum, "cumsum has no gain: one output depends on other inputs"),
        (np.mean, r"mean has no gain: it makes \(\) of an input of shape \(64,\)"),
        (lambda x: x[:32] * x[32:], r"it makes \(32,\) of an input of shape \(64,\). Gated"),
        (lambda x: x + 1j, "its values are complex128, and not real numbers"),
        (lambda x: 0 * x, "this function is zero for these inputs"),
        (np.log, "log is nan at -.*; a gain needs a function that is finite"),
        (lambda x: 1 / 0, r"this function cannot be evaluated: with a NumPy array, ZeroDivision"),
        (lambda x: torch.tahn(x), "with a torch tensor, AttributeError: module 'torch' has no"),
        (lambda: 1, "takes 0 positional arguments but 1 was given. Give a function of one array"),
        (nn.PReLU(device="meta"), "PReLU cannot be evaluated: with a torch tensor, NotImpl"),
        (lambda x: np.tanh(x.astype(np.float32)), "does not settle: .* float64, not float32"),
        (lambda x: torch.tanh(x.float()), "does not settle: .* in float64, not float32"),
    ],
)
def test_what_has_no_gain(f: Any, direction: Any, message: str) -> None:
    with pytest.raises(FaninError, match=message):
        gain(f, direction)


def test_no_backward_gain() -> None:
    for f in (np.sign, torch.sign, lambda x: torch.tanh(x).detach()):
        assert gain(f) > 0
        with pytest.raises(FaninError, match=r"the derivative of .* is zero for these inputs"):
            gain(f, "backward")
    with pytest.raises(FaninError, match=r"the derivative of this function is so large near .*e-0"):
        gain(lambda x: np.sqrt(abs(x)), "backward")
    with pytest.raises(FaninError, match="the derivative of this function"):
        gain(lambda x: torch.sqrt(abs(x) + 0.0), "backward")
