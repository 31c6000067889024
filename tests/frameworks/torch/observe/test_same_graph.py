"""One graph: the trace on fake tensors and the record of a real run see the same operations.

Plans go by the one, checks by the other: what they say of a model is of the same nodes.
"""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from fanin.frameworks.recording._finish import prune
from fanin.frameworks.torch import observe, trace
from fanin.graph import Node, Use

WIDTH = 8

Layer = Callable[[Tensor], Tensor]


def batch(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def unpacked(use: Use) -> Use:
    """What is packed in a weight shows when all of a run is over, and only plans ask for it."""
    return replace(use, axes=replace(use.axes, blocks=()), period=())


def told(node: Node) -> dict[str, Any]:
    """All that a node says; of a function what it gives of some numbers."""
    numbers = [np.linspace(-3.0, 2.0, 12) + at for at, _ in enumerate(node.inputs)]
    about = {one.name: getattr(node, one.name) for one in fields(node) if one.compare}
    about["param"] = node.param and unpacked(node.param)
    about["uses"] = tuple(map(unpacked, node.uses))
    about["fn"] = node.fn and np.asarray(node.fn(*numbers)).tolist()
    return about


def check_same(model: nn.Module, inputs: Any) -> None:
    model.train()  # as it is traced
    graph, seen = trace(model, inputs), observe(model, inputs)
    run, _ = prune(seen.nodes, seen.outputs)
    assert graph.guessed == ()
    assert [told(node) for node in graph.nodes] == [told(node) for node in run.nodes]
    assert graph.outputs == run.outputs


class Written(nn.Module):
    """A model of one function of its layers and its input."""

    def __init__(self, forward: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.written = forward
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, *inputs: Tensor) -> Any:
        return self.written(*self.children(), *inputs)


def linear(out: int = WIDTH) -> nn.Module:
    return nn.Linear(WIDTH, out)


def attention(packed: Layer, x: Tensor) -> Tensor:
    q, k, v = packed(x).chunk(3, -1)
    return F.scaled_dot_product_attention(q, k, v)


def attention_by_hand(packed: Layer, x: Tensor) -> Tensor:
    q, k, v = packed(x).reshape(*x.shape[:2], 3, 2, -1).permute(2, 0, 3, 1, 4)
    weights = ((q @ k.transpose(-1, -2)) / q.shape[-1] ** 0.5).softmax(-1)
    read: Tensor = weights @ v
    return read.transpose(1, 2).flatten(2)


def highway(gate: Layer, new: Layer, x: Tensor) -> Tensor:
    t = torch.sigmoid(gate(x))
    return t * torch.relu(new(x)) + (1 - t) * x


def reparametrized(mean: Layer, spread: Layer, x: Tensor) -> Tensor:
    deviation = torch.exp(spread(x) / 2)
    return mean(x) + deviation * torch.randn_like(deviation)


def stochastic_depth(layer: Layer, x: Tensor) -> Tensor:
    kept = x.new_empty(len(x), 1, 1).bernoulli_(0.5).div_(0.5)
    return x + layer(x) * kept


def norm_by_hand(layer: Layer, x: Tensor) -> Tensor:
    h = layer(x)
    h = h - h.mean(-1, keepdim=True)
    return h / torch.sqrt(h.square().mean(-1, keepdim=True) + 1e-5)


def rectified_by_assignment(layer: Layer, x: Tensor) -> Tensor:
    h = layer(x).clone()
    h[h < 0] = 0
    return h


def with_dead_end(layer: Layer, x: Tensor) -> Tensor:
    h = layer(x)
    torch.tanh(h).sum()
    return h[:, 1:] + h[:, :-1]


MAPS, TOKENS = (2, 3, 9, 9), (2, 6, WIDTH)
IDIOMS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "convolutions": (
        lambda: nn.Sequential(
            *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)),
            *(nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, groups=2), nn.GroupNorm(2, 8), nn.SiLU()),
            *(nn.ConvTranspose2d(8, 4, 2, 2), nn.AvgPool2d(2), nn.Flatten(), nn.LazyLinear(3)),
        ),
        MAPS,
    ),
    "dropouts": (
        lambda: nn.Sequential(
            *(nn.Conv2d(3, 8, 3), nn.Dropout2d(0.2), nn.Flatten(), nn.Dropout(0.5)),
            *(nn.Linear(8 * 49, 5), nn.ReLU(), nn.Dropout(0.1)),
        ),
        MAPS,
    ),
    "attention": (lambda: Written(attention, packed=linear(24)), TOKENS),
    "attention by hand": (lambda: Written(attention_by_hand, packed=linear(24)), TOKENS),
    "transformer": (
        lambda: nn.TransformerEncoderLayer(WIDTH, 2, 16, 0.1, batch_first=True, norm_first=True),
        TOKENS,
    ),
    "lstm": (
        lambda: Written(lambda rnn, head, x: head(rnn(x)[0]), a=nn.LSTM(8, 8, 2), b=linear()),
        TOKENS,
    ),
    "gru cell": (
        lambda: Written(
            lambda cell, x: torch.stack([cell(x[:, t]) for t in range(3)]), a=nn.GRUCell(8, 8)
        ),
        TOKENS,
    ),
    "highway": (lambda: Written(highway, gate=linear(), new=linear()), TOKENS),
    "reparametrized": (lambda: Written(reparametrized, mean=linear(), spread=linear()), TOKENS),
    "stochastic depth": (lambda: Written(stochastic_depth, layer=linear()), TOKENS),
    "norm by hand": (lambda: Written(norm_by_hand, layer=linear()), TOKENS),
    "assignment": (lambda: Written(rectified_by_assignment, layer=linear()), TOKENS),
    "dead end": (lambda: Written(with_dead_end, layer=linear()), TOKENS),
    "weight norm": (
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)), nn.Tanh()),
        TOKENS,
    ),
    "shared": (
        lambda: Written(lambda layer, x: layer(torch.relu(layer(x))), layer=linear()),
        TOKENS,
    ),
    "einsum": (
        lambda: Written(lambda a, x: torch.einsum("bti,oi->bto", x, a.weight), a=linear()),
        TOKENS,
    ),
}


@pytest.mark.parametrize("name", IDIOMS)
def test_idioms(name: str) -> None:
    torch.manual_seed(0)
    build, shape = IDIOMS[name]
    model, inputs = build(), batch(*shape)
    model(inputs)  # lazy layers get their shapes
    check_same(model, inputs)


def test_words_through_a_tied_table() -> None:
    words = nn.Embedding(11, WIDTH, padding_idx=0)

    def forward(table: nn.Embedding, norm: Layer, x: Tensor) -> Tensor:
        h = norm(table(x) + torch.sin(torch.arange(5.0))[:, None])
        return h @ table.weight.T

    model = Written(forward, table=words, norm=nn.LayerNorm(WIDTH))
    check_same(model, torch.arange(10).reshape(2, 5))


def test_small_and_large_dropouts_are_the_same_operation() -> None:
    """Whether a real run's mask is small enough to be kept decides nothing."""
    model = nn.Sequential(nn.Linear(WIDTH, 64), nn.Dropout(0.25), nn.Linear(64, 2))
    for rows in (3, 2000):
        seen = observe(model, batch(rows, WIDTH))
        dropout = next(node for node in seen.nodes if node.module == "1")
        assert (dropout.op, dropout.rate) == ("dropout", 0.25)
        assert not any(node.op in ("buffer", "mul") for node in seen.nodes)


# Random models: every step reads the last activation, joins read an earlier one, too.
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "linear": linear,
    "no bias": lambda: nn.Linear(WIDTH, WIDTH, bias=False),
    "convolution": lambda: Written(
        lambda conv, x: conv(x.transpose(1, 2)).transpose(1, 2),
        conv=nn.Conv1d(WIDTH, WIDTH, 3, padding=1),
    ),
    "layer norm": lambda: nn.LayerNorm(WIDTH),
    "rms norm": lambda: nn.RMSNorm(WIDTH),
    "batch norm": lambda: Written(
        lambda norm, x: norm(x.flatten(0, 1)).reshape(x.shape), norm=nn.BatchNorm1d(WIDTH)
    ),
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "leaky": lambda: nn.LeakyReLU(0.2),
    "prelu": nn.PReLU,
    "swish by hand": lambda: Written(lambda x: x * torch.sigmoid(x)),
    "softplus": nn.Softplus,
    "dropout": lambda: nn.Dropout(0.25),
    "attention": lambda: Written(attention, packed=linear(24)),
    "gated": lambda: Written(
        lambda wide, x: torch.mul(*wide(x).chunk(2, -1)), wide=linear(2 * WIDTH)
    ),
    "rolled": lambda: Written(lambda x: torch.roll(x, 1, 1)),
    "windows": lambda: Written(lambda x: F.max_pool1d(x.transpose(1, 2), 3, 1, 1).transpose(1, 2)),
    "centred": lambda: Written(lambda x: x - x.mean(1, keepdim=True)),
    "noise": lambda: Written(lambda x: x + torch.randn_like(x)),
}
JOINS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "average": lambda x, y: (x + y) / 2,
    "concatenate": lambda x, y: torch.cat([x, y], -1)[..., ::2],
    "largest": torch.maximum,
}


class Random(nn.Module):
    """Layers one behind another; a join of two activations wherever a step names one."""

    def __init__(self, steps: list[tuple[str, int]]) -> None:
        super().__init__()
        self.steps = steps
        self.layers = nn.ModuleList(LAYERS[name]() for name, _ in steps if name in LAYERS)

    def forward(self, x: Tensor) -> Tensor:
        made, layers = [x], iter(self.layers)
        for name, back in self.steps:
            earlier = made[-1 - back % len(made)]
            made.append(
                next(layers)(made[-1]) if name in LAYERS else JOINS[name](made[-1], earlier)
            )
        return made[-1]


STEPS = st.tuples(st.sampled_from([*LAYERS, *JOINS]), st.integers(0, 9))


@settings(max_examples=40)
@given(st.lists(STEPS, min_size=1, max_size=9))
def test_random_models(steps: list[tuple[str, int]]) -> None:
    torch.manual_seed(0)
    check_same(Random(steps), batch(*TOKENS))
