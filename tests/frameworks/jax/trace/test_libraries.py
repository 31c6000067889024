"""Libraries: the same network in torch, Equinox, NNX, Linen and Haiku has the same operations."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import pytest
import torch
from flax import linen, nnx
from torch import nn

from fanin.frameworks._detect import adapter_for, open_model
from fanin.frameworks.torch.trace._trace import trace
from fanin.graph import Graph

KEY = jax.random.key(0)
_NAMED = ("pointwise", "normalize", "softmax", "recurrent")


def quote(graph: Graph) -> list[str]:
    """What every node does, views left out, with the name of a function, and with its axes."""
    found = []
    for node in graph.nodes:
        named = node.label if node.op in _NAMED else ""
        axes = sorted(node.param.axes.roles) if node.param and node.op == "linear" else []
        found += [] if node.op == "view" else [" ".join([node.op, named, *axes]).strip()]
    return found


def graph_of(model: Any, inputs: Any, params: Any = None) -> Graph:
    model = open_model(model) if params is None else open_model(model, params)
    return adapter_for(model).target(model).trace(inputs)


def _linen(model: linen.Module, inputs: Any) -> Graph:
    variables: Any = model.init(KEY, inputs)
    held = {name: values for name, values in variables.items() if name != "params"}

    def apply(params: Any, x: Any) -> Any:
        return model.apply({"params": params, **held}, x)

    return graph_of(apply, inputs, variables["params"])


class Perceptron:
    """A dense layer, a norm, a function, a dense layer."""

    inputs = jnp.zeros((3, 8))

    @staticmethod
    def torch() -> Graph:
        layers = (nn.Linear(8, 16), nn.LayerNorm(16), nn.GELU("tanh"), nn.Linear(16, 4))
        return trace(nn.Sequential(*layers), torch.zeros(3, 8))

    @staticmethod
    def equinox() -> Graph:
        layers = [eqx.nn.Linear(8, 16, key=KEY), eqx.nn.LayerNorm(16), eqx.nn.Lambda(jax.nn.gelu)]
        model = eqx.nn.Sequential([*layers, eqx.nn.Linear(16, 4, key=KEY)])
        return graph_of(model, Perceptron.inputs)

    @staticmethod
    def nnx() -> Graph:
        rngs = nnx.Rngs(0)
        first, norm = nnx.Linear(8, 16, rngs=rngs), nnx.LayerNorm(16, rngs=rngs)
        model = nnx.Sequential(first, norm, nnx.gelu, nnx.Linear(16, 4, rngs=rngs))
        return graph_of(model, Perceptron.inputs)

    @staticmethod
    def linen() -> Graph:
        layers = [linen.Dense(16), linen.LayerNorm(), linen.gelu, linen.Dense(4)]
        return _linen(linen.Sequential(layers), Perceptron.inputs)

    @staticmethod
    def haiku() -> Graph:
        def run(x: Any) -> Any:
            x = hk.LayerNorm(-1, True, True)(hk.Linear(16)(x))
            return hk.Linear(4)(jax.nn.gelu(x))

        model: Any = hk.without_apply_rng(hk.transform(run))
        params = model.init(KEY, Perceptron.inputs)
        return graph_of(model.apply, Perceptron.inputs, params)


class Convolutions:
    """Convolutions with norms over batches and groups, pools, and a head."""

    inputs = jnp.zeros((2, 8, 8, 3))

    @staticmethod
    def torch() -> Graph:
        layers: list[nn.Module] = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
        layers += [nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1, groups=2), nn.GroupNorm(2, 8)]
        layers += [nn.SiLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32, 5)]
        return trace(nn.Sequential(*layers), torch.zeros(2, 3, 8, 8))

    @staticmethod
    def nnx() -> Graph:
        rngs = nnx.Rngs(0)
        bn = nnx.BatchNorm(8, use_running_average=True, rngs=rngs)
        layers = [nnx.Conv(3, 8, (3, 3), rngs=rngs), bn, nnx.relu]
        layers += [lambda x: nnx.max_pool(x, (2, 2), (2, 2))]
        layers += [nnx.Conv(8, 8, (3, 3), feature_group_count=2, rngs=rngs)]
        layers += [nnx.GroupNorm(8, 2, rngs=rngs), nnx.silu]
        layers += [lambda x: nnx.avg_pool(x, (2, 2), (2, 2)), lambda x: x.reshape(2, -1)]
        return graph_of(nnx.Sequential(*layers, nnx.Linear(32, 5, rngs=rngs)), Convolutions.inputs)

    @staticmethod
    def linen() -> Graph:
        layers: list[Any] = [linen.Conv(8, (3, 3)), linen.BatchNorm(use_running_average=True)]
        layers += [linen.relu, lambda x: linen.max_pool(x, (2, 2), (2, 2))]
        layers += [linen.Conv(8, (3, 3), feature_group_count=2), linen.GroupNorm(2), linen.silu]
        layers += [lambda x: linen.avg_pool(x, (2, 2), (2, 2)), lambda x: x.reshape(2, -1)]
        return _linen(linen.Sequential([*layers, linen.Dense(5)]), Convolutions.inputs)


class Recurrence:
    """A layer of LSTM over steps, and a head on its last output."""

    inputs = jnp.zeros((2, 12, 8))

    @staticmethod
    def torch() -> Graph:
        class Model(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.cells = nn.LSTM(8, 16, batch_first=True)
                self.head = nn.Linear(16, 3)

            def forward(self, x: torch.Tensor) -> Any:
                return self.head(self.cells(x)[0][:, -1])

        return trace(Model(), torch.zeros(2, 12, 8))

    @staticmethod
    def nnx() -> Graph:
        rngs = nnx.Rngs(0)
        cells = nnx.RNN(nnx.OptimizedLSTMCell(8, 16, rngs=rngs))
        model = nnx.Sequential(cells, lambda x: x[:, -1], nnx.Linear(16, 3, rngs=rngs))
        return graph_of(model, Recurrence.inputs)

    @staticmethod
    def linen() -> Graph:
        layers = [linen.RNN(linen.OptimizedLSTMCell(16)), lambda x: x[:, -1], linen.Dense(3)]
        return _linen(linen.Sequential(layers), Recurrence.inputs)


PAIRS = [
    (network, library)
    for network in (Perceptron, Convolutions, Recurrence)
    for library in ("equinox", "nnx", "linen", "haiku")
    if hasattr(network, library)
]


@pytest.mark.parametrize(
    ("network", "library"), PAIRS, ids=[f"{n.__name__}-{library}" for n, library in PAIRS]
)
def test_operations_are_those_of_torch(network: Any, library: str) -> None:
    own: Callable[[], Graph] = getattr(network, library)
    assert quote(own()) == quote(network.torch())
