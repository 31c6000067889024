"""Twins: a model of torch and its port to JAX get the same plan for the same reasons."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import pytest
import torch
from jax import lax
from torch import nn
from torch.nn import functional as F  # noqa: N812

from fanin import plan

Arrays = Mapping[str, Any]
Shape = tuple[int, ...]
Twin = tuple[nn.Module, torch.Tensor, Callable[..., Any], dict[str, Shape], Any]


def normalize(x: Any, weight: Any, bias: Any) -> Any:
    mean = x.mean(-1, keepdims=True)
    variance = jnp.maximum(0.0, lax.square(x).mean(-1, keepdims=True) - lax.square(mean))
    return (x - mean) * (lax.rsqrt(variance + 1e-5) * weight) + bias


def convolve(x: Any, weight: Any, **how: Any) -> Any:
    how = {"window_strides": (1, 1), "padding": "SAME"} | how
    return lax.conv_general_dilated(x, weight, dimension_numbers=("NHWC", "HWIO", "NHWC"), **how)


def perceptron() -> Twin:
    layers = (nn.Linear(8, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 16), nn.SiLU())
    model = nn.Sequential(*layers, nn.Dropout(0.3), nn.Linear(16, 4))

    def port(p: Arrays, x: Any) -> Any:
        x = jax.nn.gelu(x @ p["0.weight"] + p["0.bias"], approximate=False)
        x = normalize(x, p["2.weight"], p["2.bias"])
        x = jax.nn.silu(x @ p["3.weight"] + p["3.bias"])
        kept = jax.random.bernoulli(jax.random.key(0), 0.7, x.shape)
        return jnp.where(kept, x / 0.7, 0) @ p["6.weight"] + p["6.bias"]

    shapes: dict[str, Shape] = {"0.weight": (8, 16), "0.bias": (16,), "2.weight": (16,)}
    shapes |= {"2.bias": (16,), "3.weight": (16, 16), "3.bias": (16,)}
    return model, torch.zeros(3, 8), port, shapes | {"6.weight": (16, 4), "6.bias": (4,)}, (3, 8)


def convolutions() -> Twin:
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)]
    layers += [nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.Hardswish()]
    layers += [nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, 2, padding=1), nn.LeakyReLU(0.2)]
    layers += [nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 5)]

    mean, variance = jnp.zeros(16), jnp.ones(16)

    def port(p: Arrays, x: Any) -> Any:
        x = convolve(x, p["0.weight"])
        x = (x - mean) * (lax.rsqrt(variance + 1e-5) * p["1.weight"]) + p["1.bias"]
        x = convolve(jax.nn.relu(x), p["3.weight"], feature_group_count=16) + p["3.bias"]
        x = jax.nn.hard_swish(x)
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        pads = ((1, 1), (1, 1))
        x = convolve(x, p["6.weight"], window_strides=(2, 2), padding=pads) + p["6.bias"]
        x = jax.nn.leaky_relu(x, 0.2)
        x = lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4
        return x.mean((1, 2)) @ p["11.weight"] + p["11.bias"]

    shapes: dict[str, Shape] = {"0.weight": (3, 3, 3, 16), "1.weight": (16,), "1.bias": (16,)}
    shapes |= {"3.weight": (3, 3, 1, 16), "3.bias": (16,), "6.weight": (3, 3, 16, 32)}
    shapes |= {"6.bias": (32,), "11.weight": (32, 5), "11.bias": (5,)}
    return nn.Sequential(*layers), torch.zeros(2, 3, 16, 16), port, shapes, (2, 16, 16, 3)


class Language(nn.Module):
    """A table that is the head, places, blocks of attention and a gated perceptron."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 16)
        self.places = nn.Parameter(torch.empty(6, 16))
        for at in range(2):
            for name in ("q", "k", "v", "o"):
                self.add_module(f"{name}{at}", nn.Linear(16, 16, bias=False))
            self.add_module(f"n{at}", nn.RMSNorm(16))
            self.add_module(f"m{at}", nn.RMSNorm(16))
            self.add_module(f"gate{at}", nn.Linear(16, 32, bias=False))
            self.add_module(f"up{at}", nn.Linear(16, 32, bias=False))
            self.add_module(f"down{at}", nn.Linear(32, 16, bias=False))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.table(tokens) + self.places
        own = self.get_submodule
        future = torch.ones(6, 6, dtype=torch.bool).triu(1)
        for at in range(2):
            h = own(f"n{at}")(x)
            q, k, v = (
                own(f"{name}{at}")(h).unflatten(-1, (4, 4)).transpose(1, 2) for name in "qkv"
            )
            logits = (q * 0.5 @ k.transpose(-1, -2)).masked_fill(future, float("-inf"))
            y = logits.softmax(-1) @ v
            x = x + own(f"o{at}")(y.transpose(1, 2).flatten(2))
            h = own(f"m{at}")(x)
            gated = F.silu(own(f"gate{at}")(h)) * own(f"up{at}")(h)
            x = x + own(f"down{at}")(gated)
        scores: torch.Tensor = x @ self.table.weight.T
        return scores


def language() -> Twin:
    def norm(x: Any, weight: Any) -> Any:
        return x * lax.rsqrt(jnp.mean(lax.square(x), -1, keepdims=True) + 1e-6) * weight

    def port(p: Arrays, tokens: Any) -> Any:
        x = jnp.take(p["table.weight"], tokens, axis=0) + p["places"]
        for at in range(2):
            h = norm(x, p[f"n{at}.weight"])
            q, k, v = (jnp.einsum("btd,dhk->bthk", h, p[f"{name}{at}.weight"]) for name in "qkv")
            y = jax.nn.dot_product_attention(q, k, v, is_causal=True)
            x = x + jnp.einsum("bthk,hkd->btd", y, p[f"o{at}.weight"])
            h = norm(x, p[f"m{at}.weight"])
            gated = jax.nn.silu(h @ p[f"gate{at}.weight"]) * (h @ p[f"up{at}.weight"])
            x = x + gated @ p[f"down{at}.weight"]
        return x @ p["table.weight"].T

    shapes: dict[str, Shape] = {"table.weight": (50, 16), "places": (6, 16)}
    for at in range(2):
        shapes |= {f"{name}{at}.weight": (16, 4, 4) for name in "qkv"}
        shapes |= {f"o{at}.weight": (4, 4, 16), f"n{at}.weight": (16,), f"m{at}.weight": (16,)}
        shapes |= {f"gate{at}.weight": (16, 32), f"up{at}.weight": (16, 32)}
        shapes |= {f"down{at}.weight": (32, 16)}
    tokens = torch.zeros(2, 6, dtype=torch.long)
    return Language(), tokens, port, shapes, jnp.zeros((2, 6), jnp.int32)


class Stacked(nn.Module):
    """Blocks one behind another."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(8) for _ in range(depth))
        self.a = nn.ModuleList(nn.Linear(8, 16) for _ in range(depth))
        self.b = nn.ModuleList(nn.Linear(16, 8) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for norm, a, b in zip(self.norms, self.a, self.b, strict=True):
            x = x + b(torch.tanh(a(norm(x))))
        return x


@pytest.mark.parametrize("twin", [perceptron, convolutions, language])
def test_plans_are_the_same(twin: Callable[[], Twin]) -> None:
    model, tensor, port, shapes, given = twin()
    made: Any = jax.ShapeDtypeStruct
    params = {name: made(shape, jnp.float32) for name, shape in shapes.items()}
    inputs = made(given, jnp.float32) if isinstance(given, tuple) else given
    mine = plan(port, inputs, params=params)
    theirs = plan(model.to("meta"), tensor)
    assert {row.name for row in mine.rows} == {row.name for row in theirs.rows}
    for row in theirs.rows:
        assert (row.name, str(mine[row.name].initializer)) == (row.name, str(row.initializer))
        if row.role != "shift":  # which a function of arrays does not tell from a bias
            assert (mine[row.name].role, mine[row.name].why) == (row.role, row.why)


def test_scanned_layers_get_what_layers_one_behind_another_get() -> None:
    def port(p: Arrays, x: Any) -> Any:
        def layer(x: Any, p: Arrays) -> Any:
            h = normalize(x, p["scale"], p["shift"])
            return x + jnp.tanh(h @ p["a"] + p["c"]) @ p["b"] + p["d"], None

        return lax.scan(layer, x, p)[0]

    made: Any = jax.ShapeDtypeStruct
    shapes = {"a": (5, 8, 16), "c": (5, 16), "b": (5, 16, 8), "d": (5, 8)}
    shapes |= {"scale": (5, 8), "shift": (5, 8)}
    params = {name: made(shape, jnp.float32) for name, shape in shapes.items()}
    mine = plan(port, made((2, 3, 8), jnp.float32), params=params)
    theirs = plan(Stacked(5).to("meta"), torch.zeros(2, 3, 8))
    assert str(mine["a"].initializer) == str(theirs["a.0.weight"].initializer)
    assert str(mine["b"].initializer) == str(theirs["b.4.weight"].initializer)
    assert mine["b"].why == theirs["b.0.weight"].why
    assert "1 of 5 on its stream" in mine["b"].why
    assert mine["b"].fans == (16, 8)
