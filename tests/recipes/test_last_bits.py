"""A plan does not depend on the last bits of a machine's elementary functions.

NumPy's `exp` is another with AVX-512 than without, a math library's from release to release. So a
process draws an error of up to 3e-16 for every value of every such function, constants made at
import among them, and plans what the undisturbed process plans.
"""

import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

PLANS = """
import math, sys
import numpy as np

random = np.random.default_rng(int(sys.argv[1]))


def disturb(module, name):
    function = getattr(module, name)

    def disturbed(*args, **kwargs):
        value = function(*args, **kwargs)
        if not isinstance(value, float | np.ndarray) or np.asarray(value).dtype != np.float64:
            return value
        return value * (1 + 3e-16 * random.uniform(-1, 1, np.shape(value)))

    setattr(module, name, disturbed)


if sys.argv[1] != "0":
    for name in "exp log tanh sin cos power expm1 log1p sqrt matmul einsum interp".split():
        disturb(np, name)
    for name in "exp log pow erf erfc expm1 log1p gamma lgamma".split():
        disturb(math, name)

import torch
from torch import nn
import fanin


class Residual(nn.Module):
    def __init__(self, *branch):
        super().__init__()
        self.branch = nn.Sequential(*branch)

    def forward(self, x):
        return x + self.branch(x)


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.qkv = nn.LayerNorm(width), nn.Linear(width, 3 * width)
        self.end = nn.Linear(width, width)

    def forward(self, x):
        query, key, value = self.qkv(self.norm(x)).chunk(3, -1)
        weights = (query @ key.transpose(1, 2) / query.shape[-1] ** 0.5).softmax(-1)
        return x + self.end(weights @ value)


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(1)


def conv(inputs, outputs, **options):
    return nn.Conv2d(inputs, outputs, 3, padding=1, **options)


images, tokens = torch.zeros(1, 3, 16, 16), torch.zeros(1, 16, 24)
models = {
    "pooled": nn.Sequential(
        conv(3, 16), nn.ReLU(), nn.MaxPool2d(2), conv(16, 16), nn.GELU(), nn.MaxPool2d(2),
        conv(16, 32), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    ),
    "dropped": nn.Sequential(
        conv(3, 16), nn.ReLU(), nn.Dropout(0.1), conv(16, 16), nn.ReLU(), nn.Dropout(0.1),
        Residual(conv(16, 16), nn.SiLU(), conv(16, 16)), nn.ReLU6(), nn.Flatten(),
        nn.Linear(4096, 10),
    ),
    "depthwise": nn.Sequential(
        conv(3, 16), nn.BatchNorm2d(16), nn.SiLU(), conv(16, 16, groups=16), nn.BatchNorm2d(16),
        nn.SiLU(), Residual(conv(16, 16, groups=16), nn.GELU(), nn.Conv2d(16, 16, 1)),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    ),
}
attention = nn.Sequential(
    nn.Linear(24, 32), Attention(32),
    Residual(nn.LayerNorm(32), nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32)), Attention(32),
    Residual(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32)), nn.LayerNorm(32), Mean(),
    nn.Linear(32, 10),
)
cases = [(name, model, images) for name, model in models.items()]
cases.append(("attention", attention, tokens))
for name, model, example in cases:
    for row, planned in fanin.plan(model, example).items():
        print(name, row, repr(planned.initializer))
"""


def plan_disturbed(seed: int) -> str:
    command = [sys.executable, "-c", PLANS, str(seed)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_last_bits_do_not_show() -> None:
    undisturbed = plan_disturbed(0)
    assert undisturbed.count("\n") > 50
    assert plan_disturbed(1) == undisturbed
